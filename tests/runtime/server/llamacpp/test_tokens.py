"""`/tokenize`, `/detokenize` and `/apply-template` of the real bundle."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.bundles import Server

END = "<|im_end|>"


def tokens_of(server: Server, content: Any, **fields: Any) -> list[Any]:
    status, body = server.post("/tokenize", {"content": content, **fields})
    assert status == 200, body
    tokens: list[Any] = body["tokens"]
    return tokens


def text_of(server: Server, tokens: list[int]) -> str:
    status, body = server.post("/detokenize", {"tokens": tokens})
    assert status == 200, body
    text: str = body["content"]
    return text


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_there_and_back(server: Server, text: str) -> None:
    assert text_of(server, tokens_of(server, text, parse_special=False)) == text


def test_special_texts(server: Server) -> None:
    (end,) = tokens_of(server, END)
    assert text_of(server, [end]) == END
    assert len(tokens_of(server, END, parse_special=False)) > 1
    assert tokens_of(server, ["a", end, "b"]) == tokens_of(server, f"a{END}b")


def test_pieces(server: Server) -> None:
    pieces = tokens_of(server, "Hello 😀", with_pieces=True)
    assert [one["id"] for one in pieces] == tokens_of(server, "Hello 😀")
    told = [one["piece"] for one in pieces]
    assert told[0] == "Hello"
    assert b"".join(p.encode() if isinstance(p, str) else bytes(p) for p in told).decode() == "Hello 😀"
    assert any(isinstance(p, list) for p in told), "half a character is no text"


def test_nothing_is_nothing(server: Server) -> None:
    assert server.post("/tokenize", {}) == (200, {"tokens": []})
    assert server.post("/tokenize", {"content": ""}) == (200, {"tokens": []})
    assert server.post("/detokenize", {}) == (200, {"content": ""})


def test_half_a_character(server: Server) -> None:
    token = next(one["id"] for one in tokens_of(server, "😀", with_pieces=True) if isinstance(one["piece"], list))
    assert text_of(server, [token]) == "\ufffd"


def test_a_conversation_becomes_the_prompt_that_chats_are_answered_from(server: Server) -> None:
    body: dict[str, Any] = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Who was the first man "}]},
        ]
    }
    status, rendered = server.post("/apply-template", body)
    assert status == 200
    prompt = rendered["prompt"]
    assert prompt.startswith("<|im_start|>system\nBe brief.")
    assert prompt.endswith("<|im_start|>assistant\n")
    limits = {"temperature": 0, "max_tokens": 8}
    _status, chat = server.post("/v1/chat/completions", body | limits)
    _status, completion = server.post("/completion", {"prompt": prompt} | limits)
    assert completion["content"] == chat["choices"][0]["message"]["content"]
    assert completion["tokens_evaluated"] == chat["usage"]["prompt_tokens"]


def test_tools_are_in_the_prompt(server: Server) -> None:
    tool = {"type": "function", "function": {"name": "find_ship", "parameters": {"type": "object"}}}
    _status, body = server.post("/apply-template", {"messages": [{"role": "user", "content": "x"}], "tools": [tool]})
    assert "find_ship" in body["prompt"]


BAD: list[tuple[str, str, Any, str]] = [
    ("text of a wrong type", "/tokenize", {"content": 5}, "content"),
    ("text within text", "/tokenize", {"content": [["x"]]}, "content"),
    ("no such token", "/tokenize", {"content": ["x", -1]}, "there is no token -1"),
    ("a wish of a wrong type", "/tokenize", {"content": "x", "with_pieces": "yes"}, "with_pieces"),
    ("half an escape", "/tokenize", b'{"content": "\\udff"}', "not valid JSON"),
    ("tokens of a wrong type", "/detokenize", {"tokens": "x"}, "tokens"),
    ("a token of a wrong type", "/detokenize", {"tokens": ["x"]}, "tokens[0]"),
    ("a token beyond the last", "/detokenize", {"tokens": [10**6]}, "there is no token"),
    ("a token of no size", "/detokenize", {"tokens": [2**80]}, "tokens"),
    ("no body", "/detokenize", b"", "not valid JSON"),
    ("a list", "/detokenize", [1], "Expected `object`"),
    ("no messages", "/apply-template", {}, "messages"),
    ("messages of a wrong type", "/apply-template", {"messages": [{"role": 5}]}, "messages[0].role"),
    ("a picture", "/apply-template", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "text only"),
]


@pytest.mark.parametrize(("path", "body", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_requests_name_what_is_wrong(server: Server, path: str, body: Any, says: str) -> None:
    status, answer = server.post(path, body)
    assert status == 400, answer
    assert answer["error"]["type"] == "invalid_request_error"
    assert says in answer["error"]["message"]


def test_long_text_is_taken(server: Server) -> None:
    text = "many words " * 20_000
    assert text_of(server, tokens_of(server, text)) == text
