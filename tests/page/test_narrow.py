"""Every page at the width of a phone: no word is broken that need not be, and nothing is wider than the screen."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from support.browsers import answering, last_answer, opened, say
from support.bundles import Server

NARROW = (390, 844)

TABLE = """| Model | Parameters | Quantization | Size on disk | Comment |
|---|--:|---|--:|---|
| Llama-3.2-1B-Instruct | 1,235,814,400 | Q4_K_M | 807,694,464 | Internationalization |

| a | b |
|---|---|
| one | two |
"""
RICH = f"""# An incomprehensibly long title of internationalization

{TABLE}
```python
def a_function_with_a_rather_long_name(argument_one, argument_two, argument_three): return argument_one
```

- [x] a task that is done, and whose description is too long for a line of a phone
- [ ] another one

1. Text with `code`, a [link](https://example.org) and $x^2$
"""


def nothing(page: Page) -> None:
    expect(page.locator(".welcome .facts")).to_contain_text("parameters")


def about(page: Page) -> None:
    page.locator("button.model").click()
    expect(page.get_by_role("dialog")).to_contain_text("Quantization")


def answer(page: Page) -> None:
    say(page, "A question of several words, which goes on below itself")
    last_answer(page).get_by_role("button", name="What it took").click()
    expect(page.locator(".stats").get_by_text("to the first token")).to_be_visible()


def conversations(page: Page) -> None:
    answer(page)
    page.get_by_role("button", name="Conversations").click()
    expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()


def settings(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    for folded in ("More sampling", "JSON schema and tools"):
        page.get_by_text(folded).click()
    expect(page.get_by_role("textbox", name="Tools")).to_be_visible()


def shortcuts(page: Page) -> None:
    nothing(page)
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Shortcuts")).to_be_visible()


def completion(page: Page) -> None:
    page.goto(f"{page.url}#completion")
    page.get_by_role("button", name="The first man on the moon was").click()
    page.get_by_role("button", name="Complete").click()
    expect(page.locator(".continuation .stats")).to_be_visible()


def api(page: Page) -> None:
    page.goto(f"{page.url}docs")
    page.get_by_text("/v1/chat/completions").first.click()
    expect(page.locator("details[open] pre").first).to_be_visible()


def editing(page: Page) -> None:
    answer(page)
    page.get_by_role("button", name="Edit and send again").click()
    expect(page.get_by_role("textbox", name="Edit the message")).to_be_visible()


def deleting(page: Page) -> None:
    conversations(page)
    page.get_by_role("button", name="Delete A question").click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete")


def attached(page: Page) -> None:
    file: FilePayload = {
        "name": "a-rather-long-name-of-minutes-2026-11-30.txt",
        "mimeType": "text/plain",
        "buffer": b"x",
    }
    page.get_by_label("Files to attach").set_input_files(file)
    expect(page.get_by_text("a-rather-long-name")).to_be_visible()


VIEWS = [nothing, about, answer, conversations, settings, shortcuts, completion, api, editing, deleting, attached]


def away(page: Page) -> None:
    page.route("**/health", lambda route: route.abort())


def loading(page: Page) -> None:
    told = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error", "progress": 0.25}}
    page.route("**/health", lambda route: route.fulfill(status=503, json=told))


def locked(page: Page) -> None:
    told = {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}
    page.route("**/v1/models", lambda route: route.fulfill(status=401, json=told))


CONDITIONS = [(away, "The server does not answer"), (loading, "Loading model"), (locked, "key")]

# Words (letters and digits without a break between them) that lie in more than one line, where they would fit into one.
BROKEN = """() => {
  const broken = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode, place = text.parentElement;
    if (!place.checkVisibility({checkVisibilityCSS: true}) || place.closest('.tokens')) continue;
    for (const word of text.data.matchAll(/[\\p{L}\\d,.]+/gu)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].filter(one => one.width > 1).map(one => Math.round(one.top)));
      if (lines.size > 1) broken.push(word[0]);
    }
  }
  return broken;
}"""
# What lies beyond the screen's edge and in nothing that can be scrolled there.
WIDE = """() => [...document.querySelectorAll('body *')].filter(one => {
  const {right, width} = one.getBoundingClientRect();
  if (!width || right <= innerWidth + 1 || !one.checkVisibility({checkVisibilityCSS: true})) return false;
  for (let at = one.parentElement; at; at = at.parentElement) {
    if (/auto|scroll|hidden/.test(getComputedStyle(at).overflowX)) return false;
  }
  return true;
}).map(one => one.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_at_390_pixels(browser: Browser, server: Server, view: Any) -> None:
    with opened(browser, server.url, size=NARROW, before=answering({"content": RICH})) as page:
        view(page)
        check(page)


@pytest.mark.parametrize(("condition", "says"), CONDITIONS, ids=[one.__name__ for one, _says in CONDITIONS])
def test_at_390_pixels_what_stands_in_the_way(browser: Browser, server: Server, condition: Any, says: str) -> None:
    with opened(browser, server.url, size=NARROW, before=condition, excused=["Failed to load resource"]) as page:
        expect(page.get_by_text(says).first).to_be_visible()
        check(page)


def check(page: Page) -> None:
    """No word is broken, nothing is wider than the screen."""
    assert page.evaluate(BROKEN) == []
    assert page.evaluate(WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW[0]
    assert page.evaluate(
        "[...document.querySelectorAll('.turns, .welcome, main.completion, dialog[open]')]"
        ".every(one => one.scrollWidth <= one.clientWidth)"
    )
