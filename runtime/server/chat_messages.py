"""A conversation as OpenAI's chat sends it, as one that every part of ours understands.

Knows the forms of messages, tools and formats. Refuses to know how an answer is generated and written.
Shared because llama.cpp's dialect takes the same bodies, to render them only.
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.chat.conversation import Conversation, ToolChoice
from runtime.chat.messages import Message, Tool, ToolCall
from runtime.media.given import Gathering
from runtime.server.arguments import call_arguments
from runtime.server.generating import GenerationFields
from runtime.server.items import InputItem, messages_of
from runtime.server.lenient.efforts import effort, is_no_effort
from runtime.server.parts import Content, newest, place_of, text_of, thoughts_of
from runtime.server.refusals import BadRequest
from runtime.server.tools import FunctionSchema, ToolField, offered, tool_choice


class CalledFunction(msgspec.Struct):
    """`arguments` is JSON in a string, as OpenAI sends it; some clients send the object itself."""

    name: str | None = None
    arguments: Any = None


class CustomCall(msgspec.Struct):
    """A custom tool, and the text that it was called with."""

    name: str | None = None
    input: Any = None


class CalledTool(msgspec.Struct):
    """A tool call in the conversation so far: of a function, or of a tool that takes free text."""

    function: CalledFunction | None = None
    custom: CustomCall | None = None
    id: str | None = None


class ChatMessage(msgspec.Struct):
    """A turn of the conversation. `function_call` is what `tool_calls` were once.

    `reasoning` is what other servers call `reasoning_content`; `refusal` is said in place of a content.
    """

    role: str
    content: Content = None
    reasoning_content: str | None = None
    reasoning: Any = None
    refusal: str | None = None
    tool_calls: list[CalledTool] | None = None
    function_call: CalledFunction | None = None
    tool_call_id: str | None = None
    name: str | None = None


class FunctionName(msgspec.Struct):
    """A function, by its name."""

    name: str


class AllowedTools(msgspec.Struct):
    """Which of the tools may be called this time, and whether one of them must be."""

    tools: list[NamedTool]
    mode: str = "auto"


class NamedTool(msgspec.Struct):
    """The one tool that must be called, or those that may be. Flat tools are named flat."""

    type: str = "function"
    function: FunctionName | None = None
    custom: FunctionName | None = None
    name: str | None = None
    allowed_tools: AllowedTools | None = None


class SchemaFormat(msgspec.Struct):
    """A schema under a name, as OpenAI's clients send it."""

    schema: Any = None


class ResponseFormat(msgspec.Struct):
    """What an answer must look like. llama-server takes a schema beside `json_object` too."""

    type: str
    json_schema: SchemaFormat | None = None
    schema: Any = None


class ChatFields(GenerationFields):
    """What a body says of the conversation, and of the answer's form.

    `functions` and `function_call` are what `tools` and `tool_choice` were once. `input` stands for `messages` where a
    client has one form for chats and for `/v1/responses`. `continue_final_message` and
    `add_generation_prompt` are vLLM's and llama-server's, `reasoning_format` is llama-server's. After
    `reasoning_budget_tokens` (or `thinking_budget_tokens`) of thoughts they are ended, with `reasoning_budget_message`.
    """

    messages: list[ChatMessage] | None = None
    input: str | list[InputItem] | None = None
    tools: list[ToolField] | None = None
    tool_choice: str | NamedTool | None = None
    functions: list[FunctionSchema] | None = None
    function_call: str | FunctionName | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning_format: str | None = None
    reasoning_budget_tokens: int | None = None
    thinking_budget_tokens: int | None = None
    reasoning_budget_message: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    continue_final_message: bool | str | None = None
    add_generation_prompt: bool | None = None


def conversation(body: ChatFields) -> Conversation:
    """What `body` says of the answer, apart from how tokens are sampled. Raises `BadRequest`."""
    media = Gathering()
    messages = _messages(body, media)
    if not messages:
        raise BadRequest("messages: at least one is needed", "messages")
    tools, choice = _tools(body)
    budget = _budget(body)
    return Conversation(
        messages=messages,
        media=media.given,
        tools=tools,
        tool_choice=choice,
        parallel_calls=body.parallel_tool_calls is not False and body.functions is None,
        schema=None if body.response_format is None else _schema(body.response_format),
        thinks=False if budget == 0 else _thinks(body),
        thought_tokens=budget,
        thought_message=body.reasoning_budget_message,
        effort=effort(body.reasoning_effort),
        splits_reasoning=_splits_reasoning(body.reasoning_format),
        template_values=body.chat_template_kwargs or {},
        continues_last=_continues_last(body, messages[-1]),
        opens_answer=body.add_generation_prompt is not False,
    )


def _budget(body: ChatFields) -> int | None:
    """Tokens of thoughts, None: as the server has it. Raises `BadRequest`."""
    for field in ("reasoning_budget_tokens", "thinking_budget_tokens"):
        number: int | None = getattr(body, field)
        if number is not None and number < -1:
            raise BadRequest(f"{field}: must be -1 (no limit) or more", field)
        if number is not None and number >= 0:
            return number
    return None


def _messages(body: ChatFields, media: Gathering) -> tuple[Message, ...]:
    """The turns. Raises `BadRequest`."""
    given = body.messages or []
    if not given and body.input is not None:
        return messages_of(body.input, media)
    now = newest([one.role for one in given])
    return tuple(_message(f"messages[{i}]", one, media, is_now=i == now) for i, one in enumerate(given))


def _message(field: str, given: ChatMessage, media: Gathering, *, is_now: bool) -> Message:
    """One turn. Raises `BadRequest`."""
    is_assistant = given.role == "assistant"
    calls = given.tool_calls or ([CalledTool(given.function_call)] if given.function_call else [])
    content = text_of(f"{field}.content", given.content, place_of(given.role, is_now=is_now), media)
    reasoning = given.reasoning_content or (given.reasoning if isinstance(given.reasoning, str) else "")
    return Message(
        role="tool" if given.role == "function" else given.role,
        content=content or given.refusal or "",
        reasoning=(reasoning or thoughts_of(given.content)) if is_assistant else "",
        tool_calls=tuple(made for made in map(_tool_call, calls) if made is not None),
        tool_call_id=given.tool_call_id,
        name=given.name,
    )


def _tool_call(call: CalledTool) -> ToolCall | None:
    """A call that was made; None for one of nothing."""
    if call.function is not None and call.function.name:
        return ToolCall(call.id or "", call.function.name, call_arguments(call.function.arguments))
    if call.custom is not None and call.custom.name:
        return ToolCall(call.id or "", call.custom.name, {"input": call.custom.input or ""})
    return None


def _tools(body: ChatFields) -> tuple[tuple[Tool, ...], ToolChoice]:
    """The tools that may be called, and whether one must be. Raises `BadRequest`."""
    if body.functions is not None and body.tools is not None:
        raise BadRequest("functions: either tools or functions, not both", "functions")
    listed = body.tools or [ToolField(function=one) for one in body.functions or ()]
    given = body.tool_choice if body.functions is None else body.function_call
    here = offered(listed)
    if isinstance(given, FunctionName):
        return here.tools, here.named(given.name)
    if not isinstance(given, NamedTool):
        return here.tools, tool_choice(given)
    if given.allowed_tools is not None:
        names = filter(None, map(_chosen, given.allowed_tools.tools))
        return here.only(names), tool_choice(given.allowed_tools.mode)
    return here.tools, here.chosen(given.type, _chosen(given))


def _chosen(given: NamedTool) -> str | None:
    """The name of a tool that is chosen; None for one of a kind that has none."""
    named = given.function or given.custom
    return named.name if named is not None else given.name


def _schema(wanted: ResponseFormat) -> Any:
    """The JSON schema that a format stands for, None for text."""
    field = "response_format"
    if wanted.type == "text":
        return None
    if wanted.type == "json_schema":
        if wanted.json_schema is None or wanted.json_schema.schema is None:
            raise BadRequest(f"{field}.json_schema.schema: is missing", f"{field}.json_schema.schema")
        return wanted.json_schema.schema
    if wanted.type == "json_object":
        return wanted.schema or {"type": "object"}
    raise BadRequest(f"{field}.type: must be text, json_object or json_schema, not {wanted.type!r}", f"{field}.type")


def _thinks(body: ChatFields) -> bool | None:
    """What is said of thinking: that none is wanted, or Qwen's word among the template's. Raises `BadRequest`."""
    if is_no_effort(body.reasoning_effort):
        return False
    given = (body.chat_template_kwargs or {}).get("enable_thinking")
    if given is not None and not isinstance(given, bool):
        field = "chat_template_kwargs.enable_thinking"
        raise BadRequest(f"{field}: must be true or false", field)
    return given


def _splits_reasoning(format_: str | None) -> bool:
    if format_ not in (None, "none", "auto", "deepseek", "deepseek-legacy"):
        raise BadRequest(f"reasoning_format: must be none, auto or deepseek, not {format_!r}", "reasoning_format")
    return format_ != "none"


def _continues_last(body: ChatFields, last: Message) -> bool:
    """Whether the answer goes on from the last message: from an assistant's it does, unless the body says otherwise.

    Raises `BadRequest` where it says so of a message that cannot be gone on from.
    """
    wanted, opens = body.continue_final_message, body.add_generation_prompt
    can = last.role == "assistant" and not last.tool_calls
    if wanted and not can:
        raise BadRequest(
            "continue_final_message: the last message must be the assistant's, and call no tools",
            "continue_final_message",
        )
    if wanted and opens:
        raise BadRequest(
            "continue_final_message: an answer either continues a message or begins one, so add_generation_prompt "
            "must be false",
            "continue_final_message",
        )
    return can and wanted is not False and not opens
