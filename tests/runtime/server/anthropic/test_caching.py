"""What Anthropic's clients say of caches and of themselves, and what they are told of what was found."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.server.anthropic.attribution import without_attribution
from runtime.server.anthropic.turns import ConversationFields, conversation
from support.bundles import Server

BILLING = "x-anthropic-billing-header: cc_version=2.1.37.0d9; cc_entrypoint=cli; cch=fa690;"
LONG = "Answer in one sentence. " * 20

LINES = [
    ("alone", BILLING, ""),
    ("before a line", f"{BILLING}\nBe brief.", "Be brief."),
    ("before text at once", f"{BILLING}Be brief.", "Be brief."),
    ("of another version", "x-anthropic-billing-header: cc_version=3.0; cc_entrypoint=sdk-cli;\nx", "x"),
    ("with a space at its end", f"{BILLING} \nx", "x"),
    ("further down", f"x\n{BILLING}\n", f"x\n{BILLING}\n"),
    ("twice", f"{BILLING}\n{BILLING}\n", f"{BILLING}\n"),
    ("talked about", "x-anthropic-billing-header: what is that?", "x-anthropic-billing-header: what is that?"),
    ("another header", "x-anthropic-something: a=b;", "x-anthropic-something: a=b;"),
]


@pytest.mark.parametrize(("system", "left"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
def test_only_the_billing_line_is_left_out(system: str, left: str) -> None:
    assert without_attribution(system) == left


@pytest.mark.parametrize("rest", [[], [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]])
def test_it_is_left_out_of_the_conversation(rest: list[Any]) -> None:
    system = [{"type": "text", "text": BILLING}, *rest]
    body = {"messages": [{"role": "user", "content": BILLING}], "system": system}
    said = [message.content for message in conversation(msgspec.convert(body, ConversationFields)).messages]
    assert said == [*["Be brief."][: len(rest)], BILLING], "users may say what they like"


def ask(server: Server, billing: str, **more: Any) -> dict[str, Any]:
    marked: dict[str, Any] = {"cache_control": {"type": "ephemeral"}} if more.pop("marks", False) else {}
    system = [{"type": "text", "text": billing}, {"type": "text", "text": LONG, **marked}]
    messages = [{"role": "user", "content": "Who was the first man on the moon?"}]
    body = {"model": "x", "max_tokens": 2, "system": system, "messages": messages, **more}
    status, answer = server.post("/v1/messages", body)
    assert status == 200, answer
    usage: dict[str, Any] = answer["usage"]
    return usage


def test_what_is_behind_it_is_found_computed(server: Server) -> None:
    ask(server, BILLING)
    again = ask(server, BILLING.replace("0d9", "1c8").replace("fa690", "00b7e"))
    assert (again["input_tokens"], again["cache_creation_input_tokens"]) == (1, 0)
    assert again["cache_read_input_tokens"] > 60
    with_mark = ask(server, BILLING, marks=True)
    assert with_mark["cache_read_input_tokens"] == again["cache_read_input_tokens"], "a mark changes nothing"


def test_what_is_new_is_told_where_it_is_to_be_kept(server: Server) -> None:
    new = [{"role": "user", "content": "And the second one? Nobody has asked this before."}]
    usage = ask(server, BILLING, marks=True, messages=new)
    assert usage["input_tokens"] == 0
    assert usage["cache_creation_input_tokens"] > 10
    assert usage["cache_read_input_tokens"] > 0
    other = [{"role": "user", "content": 'Say "cache_control". Nobody has asked this either.'}]
    usage = ask(server, BILLING, messages=other)
    assert (usage["input_tokens"] > 10, usage["cache_creation_input_tokens"]) == (True, 0)
