"""The page in two tabs, and loaded again in the middle of an answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from support.browsers import answering, endless, last_answer, opened, say
from support.bundles import Server

LOST = "The server left before the answer was complete."


@pytest.fixture
def two(browser: Browser, server: Server) -> Iterator[tuple[Page, Page]]:
    """Two tabs with the same conversation."""
    with opened(browser, server.url, before=answering({"content": "one"})) as page:
        say(page, "first")
        last_answer(page)
        other = page.context.new_page()
        answering({"content": "two"})(other)
        other.goto(page.url)
        expect(other.locator(".turn")).to_have_count(2)
        yield page, other


def test_an_answer_that_a_reload_cut_off_is_told_as_that(page: Page) -> None:
    questions: list[str] = []

    def agree(dialog: Dialog) -> None:
        questions.append(dialog.type)
        dialog.accept()

    page.on("dialog", agree)
    endless(page)
    say(page, "Who was the first man on the moon?")
    expect(page.locator(".turn.assistant .markdown")).to_contain_text("Armstrong")
    page.reload()
    expect(page.get_by_text("Cut off when the page was reloaded.")).to_be_visible()
    expect(page.get_by_text(LOST)).to_have_count(0)
    assert questions == ["beforeunload"]


def test_an_answer_that_comes_in_another_tab_is_told_as_that(page: Page) -> None:
    endless(page)
    say(page, "Who was the first man on the moon?")
    expect(page.locator(".turn.assistant .markdown")).to_contain_text("Armstrong")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_text("Being answered in another tab")).to_be_visible()
    expect(other.get_by_role("button", name="Answer again")).to_be_disabled()
    expect(other.get_by_text("Can be sent when the answer is complete; Esc stops it")).to_be_visible()
    other.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(other.get_by_text("Stopped.")).to_be_visible()
    expect(other.locator(".turn.assistant .markdown")).to_have_text(
        page.locator(".turn.assistant .markdown").inner_text(), use_inner_text=True
    )


def test_enter_sends_nothing_while_an_answer_comes_and_the_hint_says_so(page: Page) -> None:
    endless(page)
    say(page, "Who was the first man on the moon?")
    page.get_by_role("textbox", name="Message").fill("And the second?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Can be sent when the answer is complete; Esc stops it")).to_be_visible()
    expect(page.get_by_text("Enter sends")).to_have_count(0)
    expect(page.get_by_role("textbox", name="Message")).to_have_value("And the second?")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_text("Enter sends, Shift+Enter begins a line")).to_be_visible()


@pytest.mark.parametrize("edits", [False, True], ids=["only looked at", "with an open edit"])
def test_an_answer_is_seen_as_it_comes_in_another_tab(two: tuple[Page, Page], edits: bool) -> None:
    page, other = two
    page.unroute_all()
    endless(page)
    say(page, "Who was the first man on the moon?")
    expect(other.locator(".bubble")).to_have_count(2)
    if edits:
        other.get_by_role("button", name="Edit and send again").last.click()
    expect(other.locator(".turn.assistant .markdown").last).to_contain_text("Armstrong")
    expect(other.get_by_text("Being answered in another tab")).to_be_visible()
    expect(page.locator(".answering")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    whole = page.locator(".turn.assistant .markdown").last
    expect(other.get_by_text("Stopped.")).to_be_visible()
    expect(other.locator(".turn.assistant .markdown").last).to_have_text(whole.inner_text(), use_inner_text=True)
    expect(other.get_by_role("textbox", name="Edit the message")).to_have_count(int(edits))


def test_what_was_said_in_another_tab_is_shown_and_gone_on_with(two: tuple[Page, Page]) -> None:
    page, other = two
    say(other, "second")
    expect(page.locator(".bubble")).to_have_text(["first", "second"])
    expect(page.locator(".turn.assistant .markdown")).to_have_text(["one", "two"])
    say(page, "third")
    last_answer(page)
    assert len(page.asked[-1]["messages"]) == 5  # type: ignore[attr-defined]
    expect(other.locator(".bubble")).to_have_text(["first", "second", "third"])


def test_an_open_edit_stays_when_another_tab_goes_on(two: tuple[Page, Page]) -> None:
    page, other = two
    page.get_by_role("button", name="Edit and send again").click()
    page.get_by_role("textbox", name="Edit the message").fill("half an edit")
    say(other, "second")
    last_answer(other)
    expect(page.get_by_role("textbox", name="Edit the message")).to_have_value("half an edit")
    page.keyboard.press("Enter")
    last_answer(page)
    expect(page.locator(".bubble")).to_have_text(["half an edit"])
    page.get_by_role("button", name="Previous branch").click()
    expect(page.locator(".bubble")).to_have_text(["first", "second"])


def test_a_conversation_that_another_tab_deletes_is_left_with_a_word(two: tuple[Page, Page]) -> None:
    page, other = two
    message = page.get_by_role("textbox", name="Message", exact=True)
    message.fill("half a question")
    other.get_by_role("button", name="Delete first").click()
    other.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("deleted in another tab")
    expect(page.locator(".turn")).to_have_count(0)
    expect(message).to_have_value("half a question")
    message.press("Enter")
    last_answer(page)
    expect(other.get_by_role("link", name="half a question")).to_be_visible()
    expect(other.get_by_role("link", name="first", exact=True)).to_have_count(0)
