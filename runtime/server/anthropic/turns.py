"""A conversation as Anthropic's clients send it, as one that every part of ours understands.

Knows blocks, turns, tools and how thinking is asked for. Refuses to know how an answer is generated and written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from runtime.chat.conversation import Conversation, ToolChoice
from runtime.chat.messages import Message, Tool, ToolCall
from runtime.server.anthropic.attribution import without_attribution
from runtime.server.refusals import BadRequest


class TextBlock(msgspec.Struct, tag="text"):
    """Text; what caches it and whom it cites is not looked at."""

    text: str


class ThinkingBlock(msgspec.Struct, tag="thinking"):
    """What the model thought in an earlier turn. Its signature is not looked at: we sign nothing."""

    thinking: str


class RedactedThinkingBlock(msgspec.Struct, tag="redacted_thinking"):
    """Thoughts that only Anthropic can read; left out."""


class ToolUseBlock(msgspec.Struct, tag="tool_use"):
    """A call that the model made."""

    id: str
    name: str
    input: dict[str, Any] = {}


class ImageBlock(msgspec.Struct, tag="image"):
    """A picture, which no model here understands."""


class DocumentBlock(msgspec.Struct, tag="document"):
    """A document, which no model here understands."""


class ToolResultBlock(msgspec.Struct, tag="tool_result"):
    """What a call gave."""

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock] | None = None


Block = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock | ImageBlock | DocumentBlock


class Turn(msgspec.Struct):
    """A message of the user's or the assistant's."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class ToolField(msgspec.Struct):
    """What the model may call. Other types than "custom" name tools that Anthropic knows and we do not."""

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
    """Whether the model is to think first. `budget_tokens` is taken and has no effect."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None


class OutputFormat(msgspec.Struct):
    """The JSON schema that the answer must follow."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(msgspec.Struct):
    """How much effort the answer is worth, and its form."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class ConversationFields(msgspec.Struct, kw_only=True):
    """What makes the prompt: all of the body of `/v1/messages/count_tokens`, and a part of `/v1/messages`'s."""

    messages: list[Turn]
    model: str | None = None
    system: str | list[TextBlock] | None = None
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
    turns = _joined(_turns(body.messages))
    continues = turns[-1].role == "assistant"
    if continues and turns[-1].tool_calls:
        raise BadRequest("messages: the tool calls of the last one have no results", "messages")
    system = without_attribution(_text("system", body.system)) if body.system else ""
    choice = body.tool_choice
    output = body.output_config or OutputConfig()
    return Conversation(
        messages=(*([Message("system", system)] if system else []), *turns),
        tools=tuple(_tool(i, one) for i, one in enumerate(body.tools or ())),
        tool_choice=ToolChoice() if choice is None else _tool_choice(choice),
        parallel_calls=not (choice and choice.disable_parallel_tool_use),
        schema=output.format.schema if output.format else None,
        thinks=_thinks(body.thinking),
        effort=_effort(output.effort),
        continues_last=continues,
    )


def _turns(given: Sequence[Turn]) -> list[Message]:
    """Each turn as one message; what tools gave, and the user's words around it, as one message each."""
    names: dict[str, str] = {}
    turns: list[Message] = []
    for i, turn in enumerate(given):
        blocks = [TextBlock(turn.content)] if isinstance(turn.content, str) else turn.content
        field = f"messages[{i}].content"
        if turn.role == "assistant":
            message = _assistant(field, blocks)
            names.update((call.id, call.name) for call in message.tool_calls)
            turns.append(message)
        else:
            turns += _others(field, turn.role, blocks, names)
    return turns


def _assistant(field: str, blocks: Sequence[Block]) -> Message:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for i, block in enumerate(blocks):
        if isinstance(block, TextBlock):
            texts.append(block.text)
        elif isinstance(block, ThinkingBlock):
            thoughts.append(block.thinking)
        elif isinstance(block, ToolUseBlock):
            calls.append(ToolCall(block.id, block.name, block.input))
        elif not isinstance(block, RedactedThinkingBlock):
            raise _misplaced(f"{field}[{i}]", block)
    return Message("assistant", "\n".join(texts), "\n".join(thoughts), tuple(calls))


def _others(field: str, role: str, blocks: Sequence[Block], names: dict[str, str]) -> Iterable[Message]:
    """`names` of the tools that were called, by the calls' ids: some templates want them again."""
    texts: list[str] = []
    for i, block in enumerate(blocks):
        if isinstance(block, TextBlock):
            texts.append(block.text)
        elif isinstance(block, ToolResultBlock):
            if texts:
                yield Message(role, "\n".join(texts))
                texts = []
            content = _text(f"{field}[{i}].content", block.content or "")
            yield Message("tool", content, tool_call_id=block.tool_use_id, name=names.get(block.tool_use_id))
        else:
            raise _misplaced(f"{field}[{i}]", block)
    if texts or not blocks:
        yield Message(role, "\n".join(texts))


def _joined(turns: Iterable[Message]) -> list[Message]:
    """Turns of the same side in a row are one, as Anthropic has it: many templates refuse them otherwise."""
    joined: list[Message] = []
    for turn in turns:
        before = joined[-1] if joined else None
        if before is None or before.role != turn.role or turn.role == "tool" or before.tool_calls:
            joined.append(turn)
        else:
            joined[-1] = msgspec.structs.replace(
                before,
                content="\n".join(filter(None, (before.content, turn.content))),
                reasoning="\n".join(filter(None, (before.reasoning, turn.reasoning))),
                tool_calls=turn.tool_calls,
            )
    return joined


def _text(field: str, content: str | Sequence[Block]) -> str:
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for i, block in enumerate(content):
        if not isinstance(block, TextBlock):
            raise _misplaced(f"{field}[{i}]", block)
        texts.append(block.text)
    return "\n".join(texts)


def _misplaced(field: str, block: Block) -> BadRequest:
    kind = block.__struct_config__.tag
    if isinstance(block, (ImageBlock, DocumentBlock)):
        return BadRequest(f"{field}: this model takes text only, not {kind!r}", field)
    return BadRequest(f"{field}: {kind!r} does not belong here", field)


def _tool(index: int, given: ToolField) -> Tool:
    field = f"tools[{index}]"
    if given.type not in (None, "custom"):
        message = f"{field}: there is no {given.type!r} here, only tools with an input_schema of your own"
        raise BadRequest(message, field)
    if not given.name or given.input_schema is None:
        missing = "input_schema" if given.name else "name"
        raise BadRequest(f"{field}.{missing}: is missing", f"{field}.{missing}")
    return Tool(given.name, given.description or "", given.input_schema)


def _tool_choice(given: ToolChoiceField) -> ToolChoice:
    if given.type == "tool":
        if not given.name:
            raise BadRequest("tool_choice.name: is missing", "tool_choice.name")
        return ToolChoice(name=given.name)
    if given.type == "any":
        return ToolChoice("required")
    return ToolChoice(given.type)


def _thinks(given: ThinkingField | None) -> bool | None:
    """None leaves it to the model's template."""
    if given is None or given.type in ("adaptive", "between_tools"):
        return None
    return given.type == "enabled"


def _effort(given: str | None) -> str | None:
    """Templates know three efforts."""
    return "high" if given in ("xhigh", "max") else given
