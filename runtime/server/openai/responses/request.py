"""What a request to `/v1/responses` says, and what is refused, because answers are all that is kept here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from runtime.chat.conversation import Conversation, ToolChoice
from runtime.chat.messages import Message, Tool
from runtime.media.given import Gathering
from runtime.server.generating import GenerationFields
from runtime.server.items import InputItem, messages_of
from runtime.server.lenient.efforts import effort, is_no_effort
from runtime.server.openai.responses.tools import response_tools
from runtime.server.refusals import BadRequest
from runtime.server.tools import ToolField, in_namespace, tool_choice


class ChosenTool(msgspec.Struct, omit_defaults=True):
    """The one tool that must be called (type "function" or "custom"), or those that may be ("allowed_tools")."""

    type: str
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[ChosenTool] | None = None


class TextFormat(msgspec.Struct):
    """What an answer must look like."""

    type: str
    name: str | None = None
    schema: Any = None
    strict: bool | None = None


class TextOptions(msgspec.Struct):
    """What is said of the answer's text."""

    format: TextFormat | None = None
    verbosity: str | None = None


class ReasoningOptions(msgspec.Struct):
    """How much is to be thought. There are no summaries of it: the thoughts themselves are in the answer."""

    effort: str | None = None
    summary: str | None = None


class ResponsesRequest(GenerationFields):
    """The body of `/v1/responses`. The answer is kept for a while unless `store` says otherwise."""

    input: str | list[InputItem] = ""
    model: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    tools: list[ToolField] | None = None
    tool_choice: str | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    metadata: dict[str, Any] | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    background: bool | None = None
    store: bool | None = None


def conversation_of(body: ResponsesRequest, earlier: Sequence[InputItem] = ()) -> Conversation:
    """The conversation that is asked about, after what was said `earlier`, and what the answer may be.

    Raises `BadRequest`.
    """
    _must_be_known_here(body)
    media = Gathering()
    messages = messages_of(_after(earlier, body.input), media) or _nothing_asked(body)
    system = (Message("system", body.instructions),) if body.instructions else ()
    tools, choice = _tools(body)
    given = body.reasoning.effort if body.reasoning else None
    last = messages[-1]
    return Conversation(
        messages=(*system, *messages),
        media=media.given,
        tools=tools,
        tool_choice=choice,
        parallel_calls=body.parallel_tool_calls is not False,
        schema=_schema(body.text),
        thinks=False if is_no_effort(given) else None,
        effort=effort(given),
        continues_last=last.role == "assistant" and bool(last.content) and not last.tool_calls,
    )


def _nothing_asked(body: ResponsesRequest) -> tuple[Message, ...]:
    """An empty input that wants no answer loads a model (codex --oss asks so). Raises `BadRequest` for any other."""
    if body.max_output_tokens not in (0, 1):
        raise BadRequest("input: is missing", "input")
    return (Message("user", ""),)


def _after(earlier: Sequence[InputItem], given: str | list[InputItem]) -> str | list[InputItem]:
    if not earlier:
        return given
    return [*earlier, *([InputItem(role="user", content=given)] if isinstance(given, str) else given)]


def _must_be_known_here(body: ResponsesRequest) -> None:
    for field in ("conversation", "prompt"):
        if getattr(body, field) is not None:
            raise BadRequest(f"{field}: answers are kept here, nothing else", field, "Send the whole conversation.")
    if body.background:
        raise BadRequest("background: answers are given at once here, or as a stream", "background", "Leave it out.")
    if body.n not in (None, 1):
        raise BadRequest("n: there is one answer here", "n", "Ask /v1/chat/completions for several.")


def _tools(body: ResponsesRequest) -> tuple[tuple[Tool, ...], ToolChoice]:
    """The tools that may be called, and whether one must be. Raises `BadRequest`."""
    here = response_tools(body.tools or ()).offered
    given = body.tool_choice
    if given is None or isinstance(given, str):
        return here.tools, tool_choice(given)
    if given.type == "allowed_tools" and given.tools is not None:
        return here.only(filter(None, map(_chosen, given.tools))), tool_choice(given.mode)
    return here.tools, here.chosen(given.type, _chosen(given))


def _chosen(given: ChosenTool) -> str | None:
    """The name that a tool goes by; None for one of a kind that is not called here."""
    return in_namespace(given.namespace, given.name) if given.type in ("function", "custom") and given.name else None


def _schema(text: TextOptions | None) -> Any:
    """The JSON schema that a format stands for, None for text. Raises `BadRequest`."""
    wanted = text.format if text else None
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "object"}
    if wanted.type != "json_schema":
        field = "text.format.type"
        raise BadRequest(f"{field}: must be text, json_object or json_schema, not {wanted.type!r}", field)
    if wanted.schema is None:
        raise BadRequest("text.format.schema: is missing", "text.format.schema")
    return wanted.schema
