"""The page for everybody: without a mouse, with a screen reader, on a phone, in light and in dark."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from support.accessibility import complaints
from support.browsers import PHONE, answering, last_answer, opened, say
from support.bundles import Server

QUESTION = "Who was the first man on the moon?"


# -- what axe finds -------------------------------------------------------------------------------------------


RICH = """# A title

Text with a [link](https://example.org), `code` and $x^2$.

| a | b |
|---|--:|
| 1 | 2 |

```python
print("hello")  # a comment
```

- [x] done

> quoted
"""


def chat(page: Page) -> None:
    say(page, QUESTION)
    last_answer(page)
    expect(page.locator(".hljs-string, .call").first).to_be_visible()
    expect(page.locator("math, .call").first).to_be_visible()


def thoughts(page: Page) -> None:
    chat(page)
    page.get_by_text("Thoughts").click()


def settings(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_role("spinbutton", name="Temperature")).to_be_visible()


def completion(page: Page) -> None:
    page.get_by_role("link", name="Completion").click()
    page.get_by_role("textbox", name="Prompt").fill("The first man on the moon was")
    page.get_by_role("button", name="Complete").click()
    expect(page.locator(".continuation .stats")).to_be_visible()
    page.locator(".token").first.hover()


def question_before_deleting(page: Page) -> None:
    chat(page)
    page.get_by_role("button", name=f"Delete {QUESTION}").click()


def editing(page: Page) -> None:
    chat(page)
    page.get_by_role("button", name="Edit and send again").click()


def nothing(page: Page) -> None:
    expect(page.locator("header .model")).to_have_text("demo")


def about(page: Page) -> None:
    page.locator("button.model").click()
    expect(page.get_by_role("dialog")).to_contain_text("Quantization")


def shortcuts(page: Page) -> None:
    expect(page.locator(".welcome .facts")).to_contain_text("parameters")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Shortcuts")).to_be_visible()


def api(page: Page) -> None:
    page.goto(f"{page.url}docs")
    page.get_by_text("/v1/chat/completions").first.click()
    expect(page.locator("details[open] pre").first).to_be_visible()


STATES = [
    nothing, chat, thoughts, settings, completion, question_before_deleting, editing, about, shortcuts, api,
]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_axe_finds_nothing(browser: Browser, server: Server, state: Any, scheme: Any) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "weather", "arguments": "{}"}}
    answers = answering({"reasoning_content": "Hm."}, {"content": RICH}, {"tool_calls": [call]})
    with opened(browser, server.url, before=answers, color_scheme=scheme) as page:
        state(page)
        assert complaints(page) == []


def test_axe_finds_nothing_on_a_phone(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, size=PHONE, before=answering({"content": RICH})) as page:
        chat(page)
        assert complaints(page) == []
        page.get_by_role("button", name="Conversations").click()
        assert complaints(page) == []


def test_axe_finds_nothing_where_a_key_is_asked_for(browser: Browser, server: Server) -> None:
    refusal = {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}

    def locked(page: Page) -> None:
        page.route("**/v1/models", lambda route: route.fulfill(status=401, json=refusal))

    with opened(browser, server.url, before=locked, excused=["Failed to load resource"]) as page:
        expect(page.get_by_role("dialog")).to_be_visible()
        assert complaints(page) == []


# -- without a mouse ------------------------------------------------------------------------------------------


def test_all_by_keyboard(browser: Browser, server: Server) -> None:
    """A question, its answer copied, the settings, another conversation, the first one found again."""
    allowed = {"permissions": ["clipboard-read", "clipboard-write"]}
    with opened(browser, server.url, **allowed) as page:
        page.locator("#message:focus").wait_for()
        page.keyboard.type("one")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("two")
        expect(page.locator("#message")).to_have_value("one\ntwo")
        page.keyboard.press("Enter")
        last_answer(page)

        tab_to(page, "Answer again", backwards=True)
        tab_to(page, "Copy", backwards=True)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Copied")).to_be_focused()

        tab_to(page, "Settings", backwards=True)
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="Settings")).to_be_visible()
        tab_to(page, "System prompt")
        page.keyboard.type("Be brief.")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog", name="Settings")).to_be_hidden()
        expect(page.get_by_role("button", name="Settings")).to_be_focused()

        page.keyboard.press("Alt+n")
        expect(page.locator("#message")).to_be_focused()
        expect(page.locator(".turn")).to_have_count(0)
        page.keyboard.press("Control+k")
        page.keyboard.type("one")
        tab_to(page, "one")
        page.keyboard.press("Enter")
        expect(page.locator(".turn.user")).to_contain_text("two")


def test_the_way_to_the_message_is_short(browser: Browser, server: Server) -> None:
    with opened(browser, server.url) as page:
        page.locator("#message:focus").wait_for()
        page.get_by_role("button", name="New conversation").first.focus()
        tab_to(page, "Skip to the message", backwards=True)
        page.keyboard.press("Enter")
        expect(page.locator("#message")).to_be_focused()


def test_tokens_by_arrow_keys(browser: Browser, server: Server) -> None:
    with opened(browser, server.url) as page:
        completion(page)
        page.locator(".token").first.focus()
        for key, index in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
            page.keyboard.press(key)
            expect(page.locator(".token").nth(index)).to_be_focused()
            expect(page.locator(".token.looked")).to_have_count(1)


def test_a_screen_reader_is_told_how_far_it_is(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, before=answering({"content": "Done."})) as page:
        page.evaluate("""() => {
          window.told = [];
          const place = document.querySelector('.offscreen[role=status]');
          const listener = new MutationObserver(() => told.push(place.textContent));
          listener.observe(place, {childList: true, characterData: true, subtree: true});
        }""")
        say(page, "Go")
        last_answer(page)
        page.wait_for_function("told.includes('The answer is complete')")
        assert page.evaluate("told.find(Boolean)") == "Answering"


def tab_to(page: Page, name: str, *, backwards: bool = False) -> None:
    """Presses Tab until what is called `name` has the focus."""
    focused = """() => {
      const at = document.activeElement;
      return at.getAttribute('aria-label') || at.labels?.[0]?.firstChild?.textContent || at.textContent;
    }"""
    for _ in range(60):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if page.evaluate(focused).strip() == name:
            return
    raise AssertionError(f"no way to {name!r}")


# -- on a phone, in light and dark ----------------------------------------------------------------------------


def test_on_a_phone(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, size=PHONE, has_touch=True, is_mobile=True) as page:
        page.get_by_role("textbox", name="Message").tap()
        page.keyboard.type("one")
        page.keyboard.press("Enter")
        expect(page.locator("#message")).to_have_value("one\n", timeout=2000)
        page.get_by_role("button", name="Send", exact=True).tap()
        last_answer(page)
        page.get_by_role("button", name="Conversations").tap()
        page.get_by_role("link", name="one").tap()
        expect(page.get_by_role("navigation", name="Conversations")).to_be_hidden()
        page.get_by_role("button", name="New conversation", exact=True).tap()
        expect(page.locator(".turn")).to_have_count(0)


@pytest.mark.parametrize("state", [nothing, chat, settings], ids=lambda state: state.__name__)
def test_nothing_is_wider_than_a_phone(browser: Browser, server: Server, state: Any) -> None:
    wide = RICH + f"\n\n{'w' * 300}\n\n| {' | '.join('abcdefghij' * 2)} |\n|{'-|' * 20}\n\n$${'x+' * 100}x$$"
    with opened(browser, server.url, size=PHONE, before=answering({"content": wide})) as page:
        state(page)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        assert page.evaluate(
            "[...document.querySelectorAll('.turns, .welcome')].every(e => e.scrollWidth <= e.clientWidth)"
        )


def test_light_and_dark(browser: Browser, server: Server) -> None:
    """As the system has it, until the reader says otherwise; and from the first paint on after that."""
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, server.url, color_scheme="dark") as page:
        dark = page.evaluate(ground)
        page.get_by_role("button", name="Colours: as the system").click()
        light = page.evaluate(ground)
        assert light != dark
        page.reload(wait_until="commit")
        page.locator("#message").wait_for()
        assert page.evaluate(ground) == light
        page.get_by_role("button", name="Colours: light").click()
        assert page.evaluate(ground) == dark
        page.get_by_role("button", name="Colours: dark").click()
        page.emulate_media(color_scheme="light")
        assert page.evaluate(ground) == light
