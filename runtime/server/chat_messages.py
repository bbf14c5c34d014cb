"""A conversation as OpenAI's chat sends it, as one that every part of ours understands.

Knows the forms of messages, tools and formats. Refuses to know how an answer is generated and written.
Shared because llama.cpp's dialect takes the same bodies, to render them only.
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.chat.conversation import Conversation, ToolChoice
from runtime.chat.messages import Message, Tool, ToolCall
from runtime.server.generating import GenerationFields
from runtime.server.refusals import BadRequest


class ContentPart(msgspec.Struct):
    """A piece of a message; only text is understood, and what an assistant said when it refused."""

    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunction(msgspec.Struct):
    """`arguments` is JSON in a string, as OpenAI sends it; some clients send the object itself."""

    name: str
    arguments: str | dict[str, Any] = ""


class CalledTool(msgspec.Struct):
    """A tool call in the conversation so far."""

    function: CalledFunction
    id: str = ""


class ChatMessage(msgspec.Struct):
    """A turn of the conversation. `function_call` is what `tool_calls` were once."""

    role: str
    content: str | list[ContentPart] | None = None
    reasoning_content: str | None = None
    tool_calls: list[CalledTool] | None = None
    function_call: CalledFunction | None = None
    tool_call_id: str | None = None
    name: str | None = None


class FunctionSchema(msgspec.Struct):
    """What a function is for, and the JSON schema of its arguments."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolField(msgspec.Struct):
    """What the model may call; functions are the only kind."""

    function: FunctionSchema | None = None
    type: str = "function"


class FunctionName(msgspec.Struct):
    """A function, by its name."""

    name: str


class AllowedTools(msgspec.Struct):
    """Which of the tools may be called this time, and whether one of them must be."""

    tools: list[NamedTool]
    mode: str = "auto"


class NamedTool(msgspec.Struct):
    """The one tool that must be called, or those that may be."""

    type: str = "function"
    function: FunctionName | None = None
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

    `functions` and `function_call` are what `tools` and `tool_choice` were once. `continue_final_message` and
    `add_generation_prompt` are vLLM's and llama-server's, `reasoning_format` is llama-server's.
    """

    messages: list[ChatMessage] = msgspec.field(default_factory=list)
    tools: list[ToolField] | None = None
    tool_choice: str | NamedTool | None = None
    functions: list[FunctionSchema] | None = None
    function_call: str | FunctionName | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning_format: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    continue_final_message: bool | str | None = None
    add_generation_prompt: bool | None = None


def conversation(body: ChatFields) -> Conversation:
    """What `body` says of the answer, apart from how tokens are sampled. Raises `BadRequest`."""
    if not body.messages:
        raise BadRequest("messages: at least one is needed", "messages")
    tools = tuple(_tool(i, one) for i, one in enumerate(_tools(body)))
    tools, choice = _chosen(tools, body)
    return Conversation(
        messages=tuple(_message(i, one) for i, one in enumerate(body.messages)),
        tools=tools,
        tool_choice=choice,
        parallel_calls=body.parallel_tool_calls is not False and body.functions is None,
        schema=None if body.response_format is None else _schema(body.response_format),
        thinks=_thinks(body),
        effort=effort(body.reasoning_effort, "reasoning_effort"),
        splits_reasoning=_splits_reasoning(body.reasoning_format),
        template_values=body.chat_template_kwargs or {},
        continues_last=_continues_last(body),
        opens_answer=body.add_generation_prompt is not False,
    )


def tool_choice(mode: str | None) -> ToolChoice:
    """What `tool_choice` says in one word. Raises `BadRequest`."""
    if mode is None or mode == "auto":
        return ToolChoice()
    if mode == "none":
        return ToolChoice("none")
    if mode == "required":
        return ToolChoice("required")
    raise BadRequest(f"tool_choice: must be auto, none, required or a named tool, not {mode!r}", "tool_choice")


def allowed(tools: tuple[Tool, ...], names: set[str]) -> tuple[Tool, ...]:
    """Those of `tools` that are named. Raises `BadRequest` for a name that none of them has."""
    if unknown := names - {one.name for one in tools}:
        raise BadRequest(f"tool_choice: there is no tool {min(unknown)!r}", "tool_choice")
    return tuple(one for one in tools if one.name in names)


_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def effort(given: str | None, field: str) -> str | None:
    """How much is to be thought, in the words that templates know; "none" is no effort. Raises `BadRequest`."""
    if given is None or given == "none":
        return None
    if given not in _EFFORTS:
        raise BadRequest(f"{field}: must be none or one of {', '.join(_EFFORTS)}, not {given!r}", field)
    return _EFFORTS[given]


def call_arguments(given: str | dict[str, Any], field: str) -> dict[str, Any]:
    """The arguments of a call that was made earlier. Raises `BadRequest` unless they are a JSON object."""
    if isinstance(given, dict):
        return given
    try:
        return msgspec.json.decode(given or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"{field}: must be a JSON object in a string: {error}", field) from error


def _message(index: int, given: ChatMessage) -> Message:
    """Message number `index`. Raises `BadRequest`."""
    field = f"messages[{index}]"
    calls = given.tool_calls or ([CalledTool(given.function_call)] if given.function_call else [])
    return Message(
        role="tool" if given.role == "function" else given.role,
        content=_text(f"{field}.content", given.content),
        reasoning=given.reasoning_content or "",
        tool_calls=tuple(_tool_call(field, call) for call in calls),
        tool_call_id=given.tool_call_id,
        name=given.name,
    )


def _tools(body: ChatFields) -> list[ToolField]:
    if body.functions is None:
        return body.tools or []
    if body.tools is not None:
        raise BadRequest("functions: either tools or functions, not both", "functions")
    return [ToolField(one) for one in body.functions]


def _tool(index: int, given: ToolField) -> Tool:
    """Tool number `index`. Raises `BadRequest`."""
    if given.type != "function" or given.function is None:
        raise BadRequest(f"tools[{index}]: only functions can be called here, not {given.type!r}", f"tools[{index}]")
    function = given.function
    return Tool(function.name, function.description or "", function.parameters or {})


def _chosen(tools: tuple[Tool, ...], body: ChatFields) -> tuple[tuple[Tool, ...], ToolChoice]:
    """The tools that may be called, and whether one must be. Raises `BadRequest`."""
    given = body.tool_choice if body.functions is None else body.function_call
    if isinstance(given, FunctionName):
        return tools, ToolChoice(name=given.name)
    if not isinstance(given, NamedTool):
        return tools, tool_choice(given)
    if given.function is not None:
        return tools, ToolChoice(name=given.function.name)
    if given.allowed_tools is None:
        raise BadRequest(f"tool_choice: only functions can be called here, not {given.type!r}", "tool_choice")
    names = {one.function.name for one in given.allowed_tools.tools if one.function is not None}
    return allowed(tools, names), tool_choice(given.allowed_tools.mode)


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
    """What is said of thinking: `reasoning_effort` none, or Qwen's word among the template's. Raises `BadRequest`."""
    if body.reasoning_effort == "none":
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


def _continues_last(body: ChatFields) -> bool:
    """Whether the answer goes on from the last message: from an assistant's it does, unless the body says otherwise.

    Raises `BadRequest` where it says so of a message that cannot be gone on from.
    """
    last = body.messages[-1]
    wanted, opens = body.continue_final_message, body.add_generation_prompt
    can = last.role == "assistant" and not last.tool_calls and not last.function_call
    if wanted and not can:
        reason = "the last message must be the assistant's, and call no tools"
        raise BadRequest(f"continue_final_message: {reason}", "continue_final_message")
    if wanted and opens:
        reason = "an answer either continues a message or begins one, so add_generation_prompt must be false"
        raise BadRequest(f"continue_final_message: {reason}", "continue_final_message")
    return can and wanted is not False and not opens


def _text(field: str, content: str | list[ContentPart] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.type not in ("text", "refusal"):
            raise BadRequest(f"{field}: this model takes text only, not {part.type!r}", field)
    return "\n".join(part.text or part.refusal or "" for part in content)


def _tool_call(field: str, call: CalledTool) -> ToolCall:
    arguments = call_arguments(call.function.arguments, f"{field}.tool_calls.function.arguments")
    return ToolCall(call.id, call.function.name, arguments)
