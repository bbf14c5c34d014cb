"""A conversation as OpenAI's chat sends it, as one that every part of ours understands.

Knows the forms of messages, tools and formats. Refuses to know how an answer is generated and written.
Shared because llama.cpp's dialect takes the same bodies, to render them only.
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.chat.conversation import Conversation, ToolChoice
from runtime.chat.messages import Message, Tool, ToolCall
from runtime.server.errors import BadRequest
from runtime.server.generating import GenerationFields


class ContentPart(msgspec.Struct):
    """A piece of a message; only text is understood."""

    type: str
    text: str | None = None


class CalledFunction(msgspec.Struct):
    """`arguments` is JSON in a string, as OpenAI sends it."""

    name: str
    arguments: str = "{}"


class CalledTool(msgspec.Struct):
    """A tool call in the conversation so far."""

    function: CalledFunction
    id: str = ""


class ChatMessage(msgspec.Struct):
    """A turn of the conversation."""

    role: str
    content: str | list[ContentPart] | None = None
    reasoning_content: str | None = None
    tool_calls: list[CalledTool] | None = None
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


class NamedTool(msgspec.Struct):
    """The one tool that must be called."""

    function: FunctionName
    type: str = "function"


class SchemaFormat(msgspec.Struct):
    """A schema under a name, as OpenAI's clients send it."""

    schema: Any = None


class ResponseFormat(msgspec.Struct):
    """What an answer must look like. llama-server takes a schema beside `json_object` too."""

    type: str
    json_schema: SchemaFormat | None = None
    schema: Any = None


class ChatFields(GenerationFields):
    """What a body says of the conversation, and of the answer's form."""

    messages: list[ChatMessage] = msgspec.field(default_factory=list)
    tools: list[ToolField] | None = None
    tool_choice: str | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None


def conversation(body: ChatFields) -> Conversation:
    """What `body` says of the answer, apart from how tokens are sampled. Raises `BadRequest`."""
    if not body.messages:
        raise BadRequest("messages: at least one is needed", "messages")
    return Conversation(
        messages=tuple(_message(i, one) for i, one in enumerate(body.messages)),
        tools=tuple(_tool(i, one) for i, one in enumerate(body.tools or ())),
        tool_choice=_tool_choice(body.tool_choice),
        parallel_calls=body.parallel_tool_calls is not False,
        schema=None if body.response_format is None else _schema(body.response_format),
        effort=body.reasoning_effort,
        template_values=body.chat_template_kwargs or {},
    )


def _message(index: int, given: ChatMessage) -> Message:
    """Message number `index`. Raises `BadRequest`."""
    field = f"messages[{index}]"
    return Message(
        role=given.role,
        content=_text(f"{field}.content", given.content),
        reasoning=given.reasoning_content or "",
        tool_calls=tuple(_tool_call(field, call) for call in given.tool_calls or ()),
        tool_call_id=given.tool_call_id,
        name=given.name,
    )


def _tool(index: int, given: ToolField) -> Tool:
    """Tool number `index`. Raises `BadRequest`."""
    if given.type != "function" or given.function is None:
        raise BadRequest(f"tools[{index}]: only functions can be called here, not {given.type!r}", f"tools[{index}]")
    function = given.function
    return Tool(function.name, function.description or "", function.parameters or {})


def _tool_choice(given: str | NamedTool | None) -> ToolChoice:
    """Raises `BadRequest`."""
    if isinstance(given, NamedTool):
        return ToolChoice(name=given.function.name)
    if given is None or given == "auto":
        return ToolChoice()
    if given == "none":
        return ToolChoice("none")
    if given == "required":
        return ToolChoice("required")
    raise BadRequest(f"tool_choice: must be auto, none, required or a named tool, not {given!r}", "tool_choice")


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


def _text(field: str, content: str | list[ContentPart] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.type != "text":
            raise BadRequest(f"{field}: this model takes text only, not {part.type!r}", field)
    return "\n".join(part.text or "" for part in content)


def _tool_call(field: str, call: CalledTool) -> ToolCall:
    try:
        arguments = msgspec.json.decode(call.function.arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        field = f"{field}.tool_calls.function.arguments"
        raise BadRequest(f"{field}: must be a JSON object in a string: {error}", field) from error
    return ToolCall(call.id, call.function.name, arguments)
