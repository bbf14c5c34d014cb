"""Tools of every kind, as clients offer them: which can be called, which chosen, and whose demand is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.chat.conversation import Conversation, ToolChoice
from runtime.server.anthropic.turns import ConversationFields
from runtime.server.anthropic.turns import conversation as anthropic_conversation
from runtime.server.chat_messages import conversation as chat_conversation
from runtime.server.openai.chat import ChatRequest
from runtime.server.openai.responses.request import ResponsesRequest, conversation_of
from runtime.server.refusals import BadRequest
from runtime.server.tools import ToolField, offered

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FUNCTION = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": SCHEMA}}
FLAT = {"type": "function", "name": "add", "description": "Adds.", "parameters": SCHEMA, "strict": False}
NAMESPACE = {"type": "namespace", "name": "mcp__sums", "description": "Sums.", "tools": [FLAT, {"type": "web_search"}]}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Patches.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "+" /(.*)/ LF\n%import common.LF'},
}
SHELL = {"type": "local_shell"}
DATED = {"type": "bash_20250124", "name": "bash"}
OTHERS = [
    {"type": "web_search", "external_web_access": False},
    {"type": "mcp", "server_label": "x", "server_url": "https://example.com"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation"},
    {"type": "tool_search", "execution": "client", "parameters": SCHEMA},
    SHELL,
    DATED,
]


def asked(**fields: Any) -> Conversation:
    return chat_conversation(msgspec.convert({"messages": [{"role": "user", "content": "q"}]} | fields, ChatRequest))


def responded(**fields: Any) -> Conversation:
    return conversation_of(msgspec.convert({"input": "q"} | fields, ResponsesRequest))


def told(**fields: Any) -> Conversation:
    given = {"messages": [{"role": "user", "content": "q"}]} | fields
    return anthropic_conversation(msgspec.convert(given, ConversationFields))


@pytest.mark.parametrize("tool", [FUNCTION, FLAT, {"name": "add", "description": "Adds.", "input_schema": SCHEMA}])
def test_a_function_is_one_however_it_is_wrapped(tool: dict[str, Any]) -> None:
    (one,) = offered(msgspec.convert([tool], list[ToolField])).tools
    assert (one.name, one.description, one.parameters) == ("add", "Adds.", SCHEMA)


def test_what_is_no_function_is_passed_over() -> None:
    for conversation in (asked(tools=[*OTHERS, FUNCTION, PATCH]), responded(tools=[*OTHERS, FLAT])):
        assert [tool.name for tool in conversation.tools] == ["add"]
    described = {"name": "add", "input_schema": SCHEMA}
    dated = [DATED, {"type": "text_editor_20250728", "name": "edit"}, {"type": "web_search_20250305", "name": "web"}]
    assert [tool.name for tool in told(tools=[*dated, described]).tools] == ["add"]


def test_parameters_that_are_no_schema_leave_the_arguments_open() -> None:
    for parameters in (None, [], "x", {}):
        assert asked(tools=[{"type": "function", "name": "f", "parameters": parameters}]).tools[0].parameters == {}


def test_functions_of_a_namespace_can_be_called() -> None:
    tools = responded(tools=[NAMESPACE, FLAT]).tools
    assert [(tool.name, tool.parameters) for tool in tools] == [("mcp__sums__add", SCHEMA), ("add", SCHEMA)]


FORMATS: list[tuple[Any, Any]] = [
    (None, None),
    ({"type": "text"}, None),
    ({"type": "grammar", "syntax": "regex", "definition": "[0-9]+|x"}, "^(?:[0-9]+|x)$"),
    ({"type": "grammar", "grammar": {"syntax": "regex", "definition": "a"}}, "^(?:a)$"),
    ({"type": "grammar", "syntax": "regex", "definition": "(a)\\1"}, None),
    ({"type": "grammar", "syntax": "lark", "definition": 'start: "a" "b"?'}, "^(?:(?:a)(?:(?:b))?)$"),
    ({"type": "grammar", "syntax": "lark", "definition": 'start: "(" start ")"'}, None),
    ({"type": "grammar", "syntax": "bnf", "definition": "x"}, None),
]


@pytest.mark.parametrize(("form", "pattern"), FORMATS, ids=[str(row[0]) for row in FORMATS])
def test_custom_tools_take_one_text(form: Any, pattern: str | None) -> None:
    """Which follows their grammar where that can be said as a regular expression; the model is told it anyway."""
    (tool,) = responded(tools=[{"type": "custom", "name": "f", "description": "Does.", "format": form}]).tools
    expected = {"type": "string"} | ({"pattern": pattern} if pattern else {})
    assert tool.parameters == {"type": "object", "properties": {"input": expected}, "required": ["input"]}
    definition = (form or {}).get("definition", "Does.")
    assert tool.description.startswith("Does.")
    assert definition in tool.description


CHOICES: list[tuple[str, Conversation, ToolChoice]] = [
    ("a function", asked(tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "add"}}),
     ToolChoice(name="add")),
    ("a flat function", asked(tools=[FLAT], tool_choice={"type": "function", "name": "add"}), ToolChoice(name="add")),
    ("any", asked(tools=[FLAT], tool_choice="any"), ToolChoice("required")),
    ("a mode in an object", asked(tools=[FLAT], tool_choice={"type": "auto"}), ToolChoice()),
    ("a function of a namespace",
     responded(tools=[NAMESPACE], tool_choice={"type": "function", "namespace": "mcp__sums", "name": "add"}),
     ToolChoice(name="mcp__sums__add")),
    ("a custom tool", responded(tools=[PATCH], tool_choice={"type": "custom", "name": "apply_patch"}),
     ToolChoice(name="apply_patch")),
    ("allowed ones, some passed over",
     responded(tools=[FLAT, *OTHERS], tool_choice={"type": "allowed_tools", "mode": "required",
               "tools": [{"type": "function", "name": "add"}, {"type": "web_search"}]}),
     ToolChoice("required")),
    ("Anthropic's", told(tools=[{"name": "f", "input_schema": {}}, DATED], tool_choice={"type": "tool", "name": "f"}),
     ToolChoice(name="f")),
]  # fmt: skip


@pytest.mark.parametrize(("conversation", "expected"), [r[1:] for r in CHOICES], ids=[r[0] for r in CHOICES])
def test_what_may_be_chosen(conversation: Conversation, expected: ToolChoice) -> None:
    assert conversation.tool_choice == expected
    assert len(conversation.tools) == 1


DEMANDS: list[tuple[Any, dict[str, Any]]] = [
    (asked, {"tools": [FUNCTION, PATCH], "tool_choice": {"type": "custom", "custom": {"name": "apply_patch"}}}),
    (asked, {"tools": [FUNCTION, SHELL], "tool_choice": {"type": "local_shell"}}),
    (asked, {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "sub"}}}),
    (asked, {"tools": [FUNCTION], "tool_choice": "perhaps"}),
    (responded, {"tools": [FLAT, *OTHERS], "tool_choice": {"type": "web_search"}}),
    (responded, {"tools": [FLAT, *OTHERS], "tool_choice": {"type": "function", "name": "bash"}}),
    (responded, {"tools": [NAMESPACE], "tool_choice": {"type": "function", "name": "add"}}),
    (told, {"tools": [DATED], "tool_choice": {"type": "tool", "name": "bash"}}),
]


@pytest.mark.parametrize(("ask", "fields"), DEMANDS, ids=[str(row[1]["tool_choice"]) for row in DEMANDS])
def test_who_demands_what_cannot_be_called_is_refused(ask: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        ask(**fields)
    assert caught.value.field == "tool_choice"


@pytest.mark.parametrize("ask", [asked, responded])
def test_a_function_has_a_name(ask: Any) -> None:
    with pytest.raises(BadRequest, match=r"tools\[1\].name: is missing"):
        ask(tools=[FLAT, {"type": "function", "parameters": SCHEMA}])
