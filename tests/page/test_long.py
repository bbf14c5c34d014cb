"""Conversations of hundreds of turns: what is out of sight costs nothing, and is there all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browsers import answering, last_answer, opened, say
from support.bundles import Server

TURNS = 120
ANSWER = "Here is **an answer**.\n\n```python\ndef f(a):\n    return a\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"

COUNTED = """() => {
  const width = Object.getOwnPropertyDescriptor(Element.prototype, "scrollWidth");
  window.looks = 0;
  const get = function () { window.looks += 1; return width.get.call(this); };
  Object.defineProperty(Element.prototype, "scrollWidth", { ...width, get });
}"""
"""Counts how often the page asks whether something is wider than its place."""


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The page with a long conversation in its list."""
    with opened(browser, server.url, before=answering({"content": "It is so."})) as page:
        page.evaluate(COUNTED)
        page.get_by_label("Files to import").set_input_files(
            [{"name": "long.json", "mimeType": "application/json", "buffer": json.dumps(exported()).encode()}]
        )
        page.get_by_role("link", name="Long", exact=True).click()
        expect(page.locator(".turn")).to_have_count(TURNS)
        yield page


def exported() -> dict[str, Any]:
    turns: list[dict[str, Any]] = []
    for i in range(TURNS):
        turn = {"id": f"t{i}", "parent": f"t{i - 1}" if i else None, "created": 1000 + i, "role": "user"}
        turns.append({**turn, "text": f"Question number {i}?"})
        if i % 2:
            turns[-1] |= {"role": "assistant", "text": ANSWER, "ending": "complete", "model": "demo"}
    one = {"id": "c", "title": "Long", "created": 1, "updated": 2, "leaf": turns[-1]["id"], "turns": turns}
    return {
        "format": "loaf-conversations",
        "version": 1,
        "conversations": [{**one, "system": "", "schema": "", "tools": ""}],
    }


def test_what_is_out_of_sight_is_not_laid_out(page: Page) -> None:
    """Were it asked for its size, the browser would have to lay it out, one answer after the other."""
    expect(page.locator(".turn.assistant pre")).to_have_count(TURNS // 2)
    page.evaluate("new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    assert page.evaluate("window.looks") < TURNS // 4


def test_what_is_out_of_sight_is_found_and_shown(page: Page) -> None:
    question = page.locator(".bubble").first
    expect(question).not_to_be_in_viewport()
    wherever = "false, false, true"  # whatever its case, forwards, and from the beginning again
    assert page.evaluate(f"window.find('Question number 0', {wherever})")
    page.evaluate("getSelection().anchorNode.parentElement.scrollIntoView()")
    expect(question).to_be_in_viewport()


def test_it_is_a_layer_that_is_moved_as_a_whole(page: Page) -> None:
    """To scroll draws nothing anew."""
    heights: list[float] = []
    client = page.context.new_cdp_session(page)
    client.on(
        "LayerTree.layerTreeDidChange", lambda told: heights.extend(one["height"] for one in told.get("layers", []))
    )
    client.send("DOM.enable")
    client.send("LayerTree.enable")
    height = page.locator(".turns").evaluate("at => at.scrollHeight")
    for _ in range(100):  # until the browser has told
        if max(heights, default=0) >= height:
            break
        page.wait_for_timeout(20)
    assert max(heights) >= height


def test_the_end_stays_in_sight_as_the_conversation_goes_on(page: Page) -> None:
    say(page, "And now?")
    expect(last_answer(page)).to_be_in_viewport()
    page.locator(".turns").evaluate("at => at.scrollTo(0, 0)")
    expect(page.locator(".bubble").first).to_be_in_viewport()
    page.get_by_role("button", name="To the end").click()
    expect(last_answer(page)).to_be_in_viewport()
