"""A conversation as Anthropic's clients send it, as one that every part of ours understands.

Knows blocks, turns, tools and how thinking is asked for. Refuses to know how an answer is generated and written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from runtime.chat.conversation import Conversation, ToolChoice
from runtime.chat.messages import Message, Tool, ToolCall
from runtime.media.given import Gathering, joined
from runtime.server.anthropic.attribution import without_attribution
from runtime.server.arguments import call_arguments
from runtime.server.lenient.efforts import effort
from runtime.server.parts import Part, newest, output_text, part_text, text_of, thoughts_of
from runtime.server.refusals import BadRequest
from runtime.server.tools import Offered, PassedOver, gathered


class Block(Part):
    """A part of a turn, by its `type`: a text, thoughts, a call (`tool_use`), what it gave (`tool_result`), or others.

    What caches a block, whom it cites and how it is signed is not looked at.
    """

    id: str | None = None
    name: str | None = None
    input: Any = None
    tool_use_id: str | None = None


class Turn(msgspec.Struct):
    """A message of the user's or the assistant's."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Block]


class ToolField(msgspec.Struct):
    """What the model may call. Other types than "custom" name tools that Anthropic knows; they are passed over."""

    name: str = ""
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    type: str | None = None


class ToolChoiceField(msgspec.Struct):
    """Whether tools are to be called; `name` belongs to the type "tool"."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingField(msgspec.Struct):
    """Whether the model is to think first: "enabled", "disabled", or as it likes; and for how long."""

    type: str
    budget_tokens: int | None = None


class OutputFormat(msgspec.Struct):
    """The JSON schema that the answer must follow."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(msgspec.Struct):
    """How much effort the answer is worth, and its form."""

    effort: str | None = None
    format: OutputFormat | None = None


class ConversationFields(msgspec.Struct, kw_only=True):
    """What makes the prompt: all of the body of `/v1/messages/count_tokens`, and a part of `/v1/messages`'s."""

    messages: list[Turn]
    model: str | None = None
    system: str | list[Block] | None = None
    tools: list[ToolField] | None = None
    tool_choice: ToolChoiceField | None = None
    thinking: ThinkingField | None = None
    output_config: OutputConfig | None = None

    def takes_long(self) -> bool:
        """Whether a grammar has to be made of it, which may take longer than other requests should wait."""
        return bool(self.tools or (self.output_config and self.output_config.format))


def conversation(body: ConversationFields) -> Conversation:
    """What `body` says of the answer. Raises `BadRequest`."""
    if not body.messages:
        raise BadRequest("messages: at least one is needed", "messages")
    media = Gathering()
    turns = _joined(_turns(body.messages, media))
    system = without_attribution(text_of("system", body.system, "earlier")) if body.system else ""
    choice = body.tool_choice
    output = body.output_config or OutputConfig()
    here = gathered(_tool(i, one) for i, one in enumerate(body.tools or ()))
    return Conversation(
        messages=(*([Message("system", system)] if system else []), *turns),
        media=media.given,
        tools=here.tools,
        tool_choice=ToolChoice() if choice is None else _tool_choice(choice, here),
        parallel_calls=not (choice and choice.disable_parallel_tool_use),
        schema=output.format.schema if output.format else None,
        thinks=_thinks(body.thinking),
        thought_tokens=_budget(body.thinking),
        effort=effort(output.effort),
        continues_last=turns[-1].role == "assistant" and not turns[-1].tool_calls,
    )


def _budget(thinking: ThinkingField | None) -> int | None:
    """Raises `BadRequest`."""
    if thinking is None or thinking.budget_tokens is None:
        return None
    if thinking.budget_tokens < 1:
        raise BadRequest("thinking.budget_tokens: must be 1 or more", "thinking.budget_tokens")
    return thinking.budget_tokens


def _turns(given: Sequence[Turn], media: Gathering) -> list[Message]:
    """Each turn as one message; what tools gave, and the user's words around it, as one message each."""
    names: dict[str, str] = {}
    turns: list[Message] = []
    now = newest([turn.role for turn in given])
    for i, turn in enumerate(given):
        blocks = [Block(text=turn.content)] if isinstance(turn.content, str) else turn.content
        field = f"messages[{i}].content"
        if turn.role == "assistant":
            message = _assistant(field, blocks)
            names.update((call.id, call.name) for call in message.tool_calls)
            turns.append(message)
        else:
            turns += _others(field, turn.role, blocks, names, media, is_now=i == now)
    return turns


def _assistant(field: str, blocks: Sequence[Block]) -> Message:
    calls = [
        ToolCall(block.id or "", block.name, call_arguments(block.input))
        for block in blocks
        if block.type == "tool_use" and block.name
    ]
    return Message("assistant", text_of(field, blocks, "assistant"), thoughts_of(blocks), tuple(calls))


def _others(
    field: str, role: str, blocks: Sequence[Block], names: dict[str, str], media: Gathering, *, is_now: bool
) -> Iterable[Message]:
    """`names` of the tools that were called, by the calls' ids: some templates want them again."""
    texts: list[str] = []
    has_results = False
    for i, block in enumerate(blocks):
        if block.type == "tool_result":
            has_results = True
            if texts:
                yield Message(role, joined(texts))
                texts = []
            content = "" if block.content is None else output_text(block.content, media, f"{field}[{i}].content")
            yield Message("tool", content, tool_call_id=block.tool_use_id, name=names.get(block.tool_use_id or ""))
        elif (text := part_text(f"{field}[{i}]", block, "now" if is_now else "earlier", media)) is not None:
            texts.append(text)
    if texts or not has_results:
        yield Message(role, joined(texts))


def _joined(turns: Iterable[Message]) -> list[Message]:
    """Turns of the same side in a row are one, as Anthropic has it: many templates refuse them otherwise."""
    whole: list[Message] = []
    for turn in turns:
        before = whole[-1] if whole else None
        if before is None or before.role != turn.role or turn.role == "tool" or before.tool_calls:
            whole.append(turn)
        else:
            whole[-1] = msgspec.structs.replace(
                before,
                content=joined(filter(None, (before.content, turn.content))),
                reasoning="\n".join(filter(None, (before.reasoning, turn.reasoning))),
                tool_calls=turn.tool_calls,
            )
    return whole


def _tool(index: int, given: ToolField) -> Tool | PassedOver:
    """The tool, unless only Anthropic knows it. Raises `BadRequest` for one that was not described."""
    if given.type not in (None, "custom") and given.input_schema is None:
        return PassedOver(given.type, given.name)
    field = f"tools[{index}]"
    if not given.name or given.input_schema is None:
        missing = "input_schema" if given.name else "name"
        raise BadRequest(f"{field}.{missing}: is missing", f"{field}.{missing}")
    return Tool(given.name, given.description or "", given.input_schema)


def _tool_choice(given: ToolChoiceField, here: Offered) -> ToolChoice:
    if given.type == "tool":
        if not given.name:
            raise BadRequest("tool_choice.name: is missing", "tool_choice.name")
        return here.named(given.name)
    if given.type == "any":
        return ToolChoice("required")
    return ToolChoice(given.type)


def _thinks(given: ThinkingField | None) -> bool | None:
    """None leaves it to the model's template."""
    return {"enabled": True, "disabled": False}.get(given.type) if given else None
