"""What a model that reads text is given of parts of any kind, and of arguments that were cut off."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.server.arguments import call_arguments
from runtime.server.parts import Content, Place, newest, output_text, text_of, thoughts_of
from runtime.server.refusals import BadRequest

PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TEXT = {"type": "text", "text": "a"}
FOUND = {"type": "search_result", "source": "https://example.com", "title": "T", "content": [TEXT]}
ENCODED = {"type": "base64", "data": "AAAA"}
REFUSED = "refused"

PARTS: list[tuple[str, Any, str | None, str | None, str | None]] = [
    # what it is, the part, and what comes of it: asked now, said earlier, in the assistant's own turn
    ("text", {"type": "text", "text": "a"}, "a", "a", "a"),
    ("input_text", {"type": "input_text", "text": "a"}, "a", "a", "a"),
    ("a string", "a", "a", "a", "a"),
    ("no type", {"text": "a"}, "a", "a", "a"),
    ("text in an object", {"type": "text", "text": {"value": "a", "annotations": []}}, "a", "a", "a"),
    ("a refusal", {"type": "refusal", "refusal": "a"}, "a", "a", "a"),
    ("a kind to come, with text", {"type": "hologram", "text": "a"}, "a", "a", "a"),
    ("a kind to come", {"type": "hologram"}, REFUSED, "[hologram]", ""),
    ("a picture", PNG, REFUSED, "[image]", ""),
    ("a picture of Responses", {"type": "input_image", "image_url": "data:,"}, REFUSED, "[image]", ""),
    ("a picture of Anthropic's", {"type": "image", "source": ENCODED}, REFUSED, "[image]", ""),
    ("a sound", {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, REFUSED, "[audio]", ""),
    ("a file", {"type": "file", "file": {"file_id": "f"}}, REFUSED, "[file]", ""),
    ("a scanned document", {"type": "document", "source": ENCODED}, REFUSED, "[document]", ""),
    ("a document of text", {"type": "document", "source": {"type": "text", "data": "a"}}, "a", "a", ""),
    (
        "a document with a title",
        {"type": "document", "title": "T", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
        "T\na",
        "T\na",
        "",
    ),
    ("what a search found", FOUND, "T\na", "T\na", ""),
    ("a reference to a tool", {"type": "tool_reference", "tool_name": "f"}, REFUSED, "[tool_reference: f]", ""),
    ("an upload", {"type": "container_upload", "file_id": "f"}, REFUSED, "[container_upload]", ""),
    ("a call of a server's tool", {"type": "server_tool_use", "id": "s"}, REFUSED, "[server_tool_use]", ""),
    ("thoughts", {"type": "thinking", "thinking": "hm"}, "", "", ""),
    ("redacted thoughts", {"type": "redacted_thinking", "data": "x"}, "", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("part", "now", "earlier", "own"), [r[1:] for r in PARTS], ids=[r[0] for r in PARTS])
def test_what_stands_for_a_part(part: Any, now: str, earlier: str, own: str) -> None:
    places: list[tuple[Place, str]] = [("now", now), ("earlier", earlier), ("assistant", own)]
    for place, expected in places:
        content = msgspec.convert([part], Content)
        if expected != REFUSED:
            assert text_of("m.content", content, place) == expected
            continue
        with pytest.raises(BadRequest, match="takes text only") as caught:
            text_of("m.content", content, place)
        assert caught.value.field == "m.content[0]"
        assert repr(part["type"]) in str(caught.value)


THOUGHTS: list[Any] = [
    [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}],
    [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}],
    [{"type": "reasoning", "text": "hm"}],
    [{"type": "reasoning_text", "text": "hm"}],
    [{"type": "redacted_thinking", "data": "x"}, {"type": "thinking", "thinking": "hm", "signature": "x"}],
]


@pytest.mark.parametrize("content", THOUGHTS, ids=json.dumps)
def test_thoughts_among_parts(content: Any) -> None:
    assert thoughts_of(msgspec.convert(content, Content)) == "hm"


OUTPUTS: list[tuple[Any, str]] = [
    (None, ""),
    ("3", "3"),
    ([{"type": "text", "text": "a"}, PNG], "a\n[image]"),
    ({"type": "computer_screenshot", "image_url": "data:,"}, "[computer_screenshot]"),
    ({"content": "a", "success": True}, "a"),
    ({"temperature": 20}, '{"temperature":20}'),
    ([1, 2], "[1,2]"),
    (7, "7"),
]


@pytest.mark.parametrize(("output", "text"), OUTPUTS, ids=[str(row[0]) for row in OUTPUTS])
def test_what_tools_gave(output: Any, text: str) -> None:
    assert output_text(output) == text


def test_which_turn_asks_now() -> None:
    assert newest(["system", "user", "assistant", "user", "tool", "user"]) == 5
    assert newest(["user", "assistant", "tool"]) == -1, "the assistant has answered it"
    assert newest(["user", "tool", None]) == 0
    assert newest([]) == -1


# -- arguments of calls -----------------------------------------------------------------------------------------

ARGUMENTS: list[tuple[Any, dict[str, Any]]] = [
    ('{"a": 1}', {"a": 1}),
    ({"a": 1}, {"a": 1}),
    ('"{\\"a\\": 1}"', {"a": 1}),
    (None, {}),
    ("", {}),
    ("null", {}),
    ("[]", {}),
    ("[1]", {"input": [1]}),
    ("3", {"input": 3}),
    ("ls -la", {"input": "ls -la"}),
    ("{'a': 1}", {"input": "{'a': 1}"}),
    ('{"path": "a.py", "content": "de', {"path": "a.py", "content": "de"}),
    ('{"path": "a.py", "con', {"path": "a.py"}),
    ('{"path": "a.py", "lines": [1, {"b": tr', {"path": "a.py", "lines": [1, {}]}),
    ('{"path": "a\\', {"path": "a"}),
    ("{", {}),
    ("}{", {"input": "}{"}),
    ("[" * 100_000, {"input": "[" * 100_000}),
]


@pytest.mark.parametrize(("given", "expected"), ARGUMENTS, ids=[str(row[0])[:40] for row in ARGUMENTS])
def test_arguments_are_an_object_whatever_they_were(given: Any, expected: dict[str, Any]) -> None:
    assert call_arguments(given) == expected


TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=3), st.booleans(), st.floats(0, 1))
def test_what_was_cut_off_is_closed_where_it_ends(arguments: dict[str, Any], ascii: bool, share: float) -> None:
    """All members before the one that was cut are as they were."""
    written = json.dumps(arguments, ensure_ascii=ascii)
    cut = call_arguments(written[: int(len(written) * share)])
    whole = list(arguments.items())
    assert list(cut.items())[:-1] == whole[: max(len(cut) - 1, 0)]
    assert list(cut) == list(arguments)[: len(cut)]
    assert call_arguments(written) == arguments
