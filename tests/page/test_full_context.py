"""A conversation that no longer fits into the context: what is said, and the ways on, against the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browsers import answering, last_answer, opened, say
from support.bundles import Server

QUESTION = "Who was the first man on the moon?"
LONG = "one two three four five six seven eight nine ten " * 24  # more than 400 tokens of the demo's 2,048


def turns(n: int) -> list[dict[str, Any]]:
    """`n` questions, numbered, with short answers; each is long."""
    made = []
    for i in range(n):
        question = {"id": f"q{i}", "parent": f"a{i - 1}" if i else None, "role": "user", "text": f"{i}: {LONG}"}
        answer = {"id": f"a{i}", "parent": f"q{i}", "role": "assistant", "text": "Yes.", "ending": "complete"}
        made += [question | {"created": 2 * i}, answer | {"created": 2 * i + 1}]
    return made


def full(page: Page, n: int = 5) -> None:
    """Opens a conversation of `n` long turns, and asks in it what has no room any more."""
    chat = {"title": "Long", "created": 1, "updated": 1, "leaf": f"a{n - 1}", "system": "Be brief.", "schema": ""}
    chat |= {"tools": "", "turns": turns(n)}
    text = json.dumps({"format": "loaf-conversations", "version": 1, "conversations": [chat]})
    file = {"name": "x.json", "mimeType": "application/json", "buffer": text.encode()}
    page.get_by_label("Files to import").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("link", name="Long").click()
    say(page, QUESTION)


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with opened(browser, server.url, excused=["Failed to load resource"]) as page:
        yield page


def test_it_is_told_in_words_for_people(page: Page) -> None:
    full(page)
    told = page.locator(".ended")
    expect(told).to_contain_text("The conversation no longer fits")
    expect(told).to_contain_text("room for 2,048")
    expect(told).not_to_contain_text("--ctx-size")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    told.get_by_role("button", name="New conversation").click()
    expect(page.locator(".turn")).to_have_count(0)


def test_answered_without_the_oldest_turns_and_from_there_on(page: Page) -> None:
    full(page)
    page.get_by_role("button", name="Answer without the oldest turns").click()
    answer = last_answer(page)
    expect(answer).to_contain_text("messages are left out")
    with page.expect_request("**/v1/chat/completions") as sent:
        say(page, "And the second?")
    messages = sent.value.post_data_json["messages"]
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert messages[1]["role"] == "user"
    assert messages[1]["content"][:2] not in ("0:", "1:"), "the oldest are left out of later questions, too"
    assert [one["content"] for one in messages if one["role"] == "user"][-2:] == [QUESTION, "And the second?"]


def test_what_was_refused_is_not_sent_again(page: Page) -> None:
    full(page)
    expect(page.locator(".ended")).to_be_visible()
    with page.expect_request("**/v1/chat/completions") as sent:
        say(page, "Another?")
    questions = [one["content"] for one in sent.value.post_data_json["messages"] if one["role"] == "user"]
    assert questions[-1] == "Another?"
    assert QUESTION not in questions
    expect(page.get_by_text(QUESTION)).to_be_visible()


def test_a_question_that_is_too_long_by_itself_is_told(page: Page) -> None:
    say(page, LONG * 5)
    page.get_by_role("button", name="Answer without the oldest turns").click()
    expect(page.locator(".ended")).to_contain_text("Not even the last question fits")


@pytest.mark.parametrize(("tokens", "is_short"), [(1700, False), (1760, True), (2048, True)])
def test_that_the_context_is_nearly_full_is_told_before(
    browser: Browser, server: Server, tokens: int, is_short: bool
) -> None:
    def used(page: Page) -> None:
        answering({"content": "Yes."})(page)
        page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=body))

    timings = {"cache_n": 0, "prompt_n": tokens - 30, "predicted_n": 30, "predicted_per_second": 9}
    chunk = {"choices": [{"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"}], "timings": timings}
    body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
    with opened(browser, server.url, before=used) as page:
        say(page, QUESTION)
        last_answer(page)
        expect(page.locator(".context")).to_contain_text(f"{tokens:,} of 2,048")
        expect(page.get_by_text("Context nearly full")).to_have_count(int(is_short))
