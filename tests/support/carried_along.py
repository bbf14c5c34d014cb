"""Requests with what agents carry along, in every dialect: data for tests.

The shapes are those of Claude Code, Codex, Cursor, opencode and of the SDKs, written anew with as little as shows them.
"""

from __future__ import annotations

from typing import Any

CHAT, RESPONSES, MESSAGES, OLLAMA = "/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"
LIMITS = {
    CHAT: {"max_tokens": 4},
    RESPONSES: {"max_output_tokens": 4},
    MESSAGES: {"max_tokens": 4},
    OLLAMA: {"options": {"num_predict": 4}},
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
IMPOSSIBLE = SCHEMA | {"properties": {"a": {"type": "integer", "minimum": 3, "maximum": 1}}}
HELLO = {"role": "user", "content": "hello"}
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SHOT = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def called(arguments: Any, name: str = "add", call_id: str = "c1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def assistant(*calls: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)} | fields


FUNCTION = item("function", function={"name": "add", "parameters": SCHEMA})
CODEX_TOOLS = [
    item("function", name="exec_command", description="Runs a command.", strict=False, parameters=SCHEMA),
    item("custom", name="apply_patch", description="Patches.",
         format={"type": "grammar", "syntax": "lark", "definition": 'start: "+" /(.*)/ LF\n%import common.LF\n'}),
    item("namespace", name="agents", description="Agents.",
         tools=[item("function", name="spawn", description="Spawns.", strict=False, parameters=SCHEMA)]),
    item("web_search", external_web_access=False),
    item("image_generation", output_format="png"),
    item("local_shell"),
    item("mcp", server_label="m", server_url="https://example.com"),
]  # fmt: skip
ANTHROPIC_TOOLS = [
    {"name": "Read", "description": "Reads.", "input_schema": IMPOSSIBLE},
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
    {"type": "bash_20250124", "name": "bash"},
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
    {"type": "custom", "name": "Grep", "input_schema": SCHEMA, "defer_loading": True},
]

CARRIED: list[tuple[str, str, dict[str, Any]]] = [
    (
        "Codex's first request",
        RESPONSES,
        {
            "instructions": "You are a coding agent.",
            "input": [
                item("message", role="developer", content=[item("input_text", text="<permissions>all</permissions>")]),
                item("message", role="developer", content=[item("input_text", text="<skills>none</skills>")]),
                item("message", role="user", content=[item("input_text", text="<environment>here</environment>")]),
                item("message", role="user", content=[item("input_text", text="hello")]),
            ],
            "tools": CODEX_TOOLS,
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"effort": "medium", "summary": "auto"},
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "k",
        },
    ),
    (
        "items of every kind",
        RESPONSES,
        {
            "input": [
                item("message", role="user", content=[item("input_image"), item("input_text", text="q")]),
                item("reasoning", id="rs_1", summary=[], encrypted_content="x"),
                item("web_search_call", id="ws_1", status="completed", action={"type": "search", "query": "q"}),
                item("file_search_call", id="fs_1", queries=["q"], results=None),
                item("custom_tool_call", call_id="c1", name="apply_patch", input="*** Begin Patch"),
                item("custom_tool_call_output", call_id="c1", output="done"),
                item("local_shell_call", call_id="c2", status="completed", action={"type": "exec", "command": ["ls"]}),
                item("local_shell_call_output", call_id="c2", output="a\n"),
                item("function_call", call_id="c3", name="spawn", namespace="agents", arguments='{"a": '),
                item("function_call_output", call_id="c3", output=[item("input_image", image_url="data:,")]),
                item("mcp_list_tools", id="m", server_label="m", tools=[]),
                item("mcp_call", id="m1", server_label="m", name="look", arguments="{}", output="seen", error=None),
                item("computer_call", call_id="c4", action={"type": "screenshot"}, pending_safety_checks=[]),
                item("computer_call_output", call_id="c4", output=item("computer_screenshot", image_url="data:,")),
                item("code_interpreter_call", id="ci", code="1", container_id="x", outputs=None),
                item("image_generation_call", id="ig", result="AAAA"),
                item("tool_search_call", call_id="c5", execution="client", arguments={"query": "q"}),
                item("tool_search_output", call_id="c5", status="completed", execution="client", tools=[]),
                item("item_reference", id="msg_1"),
                item("compaction", encrypted_content="x"),
                item("ghost_snapshot", ghost_commit={"id": "x"}),
                item("whatever_comes_next", payload={"a": 1}),
                item("message", role="user", content="and now?"),
            ],
            "tools": CODEX_TOOLS,
        },
    ),
    ("only hosted tools", RESPONSES, {"input": "hello", "tools": CODEX_TOOLS[3:]}),
    ("an answer that was cut off", RESPONSES, {"input": [
        {"role": "user", "content": "q"},
        item("function_call", call_id="c1", name="add", arguments='{"a": 1', status="incomplete"),
        {"role": "user", "content": "go on"},
    ]}),
    ("a call without its result at the end", RESPONSES, {"input": [
        {"role": "user", "content": "q"}, item("function_call", call_id="c1", name="add", arguments="{}")]}),
    ("system messages anywhere", CHAT, {"messages": [
        {"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, HELLO,
        {"role": "system", "content": "c"}, HELLO, {"role": "system", "content": "d"}]}),
    ("sides that do not take turns", CHAT, {"messages": [
        {"role": "assistant", "content": "a"}, {"role": "assistant", "content": ""}, HELLO, HELLO,
        {"role": "tool", "tool_call_id": "c9", "content": "r"}, {"role": "assistant", "content": None}, HELLO]}),
    ("parts of every kind", CHAT, {"messages": [
        {"role": "user", "content": [item("text", text="q"), PNG, item("input_audio", input_audio={}), item("file")]},
        assistant(called("{}"), content=[item("thinking", thinking=[item("text", text="hm")]), item("text", text="a"),
                                         item("refusal", refusal="no"), item("output_audio"), item("hologram")]),
        {"role": "tool", "tool_call_id": "c1", "content": [item("text", text="r"), PNG]},
        HELLO]}),
    ("tools of every kind", CHAT, {"messages": [HELLO], "tools": [
        FUNCTION, item("web_search"), item("custom", custom={"name": "c"}), item("mcp"), item("function", name="flat"),
        {"name": "with_a_schema", "input_schema": IMPOSSIBLE}]}),
    ("items in place of messages", CHAT, {"tools": [item("function", name="flat", parameters=SCHEMA)], "input": [
        {"role": "system", "content": "s"}, {"role": "user", "content": [item("input_text", text="q")]},
        item("function_call", call_id="c1", name="flat", arguments="{}"),
        item("function_call_output", call_id="c1", output="r")]}),
    *((f"arguments that are {arguments!r}", CHAT, {"tools": [FUNCTION], "messages": [
        HELLO, assistant(called(arguments)), {"role": "tool", "tool_call_id": "c1", "content": "r"}, HELLO]})
      for arguments in ('{"a": [1', "", None, "null", "[1]", 3, [], {"a": 1}, "ls -la")),
    ("calls of other kinds", CHAT, {"messages": [
        HELLO, assistant({"id": "c1", "type": "custom", "custom": {"name": "f", "input": "x"}}, {"id": "c2"}),
        {"role": "tool", "tool_call_id": "c1", "content": "r"}]}),
    ("Claude Code's tools and blocks", MESSAGES, {
        "system": [item("text", text="a"), item("text", text="b", cache_control={"type": "ephemeral"})],
        "tools": ANTHROPIC_TOOLS,
        "messages": [
            {"role": "user", "content": [item("text", text="<system-reminder>x</system-reminder>"), SHOT,
                item("document", source={"type": "text", "media_type": "text/plain", "data": "words"}, title="t"),
                item("container_upload", file_id="f")]},
            {"role": "assistant", "content": [
                item("thinking", thinking="hm", signature="x"), item("redacted_thinking", data="x"),
                item("server_tool_use", id="s1", name="web_search", input={"query": "q"}),
                item("web_search_tool_result", tool_use_id="s1", content=[item("web_search_result", title="t")]),
                item("mcp_tool_use", id="m1", name="look", server_name="m", input={}),
                item("mcp_tool_result", tool_use_id="m1", content=[item("text", text="seen")]),
                item("tool_use", id="c1", name="Read", input="{"), item("tool_use", id="c2", name="Grep", input=None)]},
            {"role": "user", "content": [
                item("tool_result", tool_use_id="c1", content=[SHOT, item("search_result", source="s", title="t",
                     content=[item("text", text="found")])]),
                item("tool_result", tool_use_id="c2", content=[item("tool_reference", tool_name="Grep")]),
                item("text", text="go on")]}]}),
    ("calls without results at the end", MESSAGES, {"messages": [
        HELLO, {"role": "assistant", "content": [item("tool_use", id="c1", name="f", input={})]}]}),
    ("a document of text, asked now", MESSAGES, {"messages": [{"role": "user", "content": [
        item("document", source={"type": "text", "media_type": "text/plain", "data": "words"})]}]}),
    ("pictures, parts and strings", OLLAMA, {"messages": [
        {"role": "system", "content": "a"}, {"role": "user", "content": "q", "images": ["AAAA"]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": '{"a": '}},
                                                            {"function": {"name": "f", "arguments": None}}]},
        {"role": "tool", "content": [item("text", text="r")], "tool_name": "f"},
        {"role": "system", "content": "b"}, HELLO],
        "tools": [FUNCTION, item("web_search"), item("function", name="flat")]}),
]  # fmt: skip
"""What is asked, at which path, and of its body what is told of here: each is answered."""
