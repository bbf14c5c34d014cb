"""Where the keyboard is after something was done with it, and what its keys do where there are fingers only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browsers import PHONE, answering, endless, last_answer, opened, say
from support.bundles import Server


@pytest.fixture
def answered(browser: Browser, server: Server) -> Iterator[Page]:
    """Two conversations, of which `second` is open."""
    with opened(browser, server.url, before=answering({"content": "It is so."})) as page:
        for question in ("first", "second"):
            page.get_by_role("button", name="New conversation").first.click()
            expect(page.locator(".turn")).to_have_count(0)
            say(page, question)
            last_answer(page)
        yield page


def press(page: Page, name: str) -> None:
    button = page.get_by_role("button", name=name, exact=True)
    button.focus()
    button.press("Enter")


@pytest.mark.parametrize("key", ["Enter", "Escape"])
def test_a_name_that_was_given_leaves_it_in_its_row(answered: Page, key: str) -> None:
    press(answered, "Rename first")
    expect(answered.get_by_role("textbox", name="Name of the conversation")).to_be_focused()
    answered.keyboard.press(key)
    expect(answered.get_by_role("button", name="Rename first")).to_be_focused()


def test_a_conversation_that_is_deleted_leaves_it_to_the_next_one(answered: Page) -> None:
    press(answered, "Delete second")
    press(answered, "Delete")
    expect(answered.get_by_role("link", name="first", exact=True)).to_be_focused()
    press(answered, "Delete first")
    press(answered, "Delete")
    expect(answered.get_by_role("textbox", name="Message")).to_be_focused()


def test_another_answer_leaves_it_where_the_next_message_is_written(answered: Page) -> None:
    press(answered, "Answer again")
    expect(answered.get_by_role("textbox", name="Message")).to_be_focused()


def test_an_edit_leaves_it_with_its_turn_or_where_one_goes_on(answered: Page) -> None:
    edited = answered.get_by_role("textbox", name="Edit the message")
    press(answered, "Edit and send again")
    expect(edited).to_be_focused()
    answered.keyboard.press("Escape")
    expect(answered.get_by_role("button", name="Edit and send again")).to_be_focused()
    answered.keyboard.press("Enter")
    expect(edited).to_be_focused()
    answered.keyboard.press("Enter")
    expect(answered.get_by_role("textbox", name="Message", exact=True)).to_be_focused()


def test_stopping_and_going_on_leave_it_where_the_next_message_is_written(page: Page) -> None:
    endless(page)
    say(page, "Who was the first man on the moon?")
    expect(page.locator(".turn.assistant .markdown")).to_contain_text("Armstrong")
    press(page, "Stop")
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    press(page, "Continue")
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()


def test_with_fingers_enter_begins_a_line(browser: Browser, server: Server) -> None:
    phone = {"has_touch": True, "is_mobile": True}
    with opened(browser, server.url, size=PHONE, before=answering({"content": "It is so."}), **phone) as page:
        say(page, "first")
        last_answer(page)
        page.get_by_role("button", name="Edit and send again").click()
        edited = page.get_by_role("textbox", name="Edit the message")
        edited.press("End")
        edited.press("Enter")
        expect(edited).to_have_value("first\n")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Conversations").click()
        page.get_by_role("button", name="Shortcuts").click()
        keys = page.get_by_role("dialog").locator("div:has(> dt)")
        expect(keys.filter(has_text="Begin a line").locator("kbd")).to_have_text(["Enter"])
        expect(keys.filter(has_text="Send the message").locator("kbd")).to_have_text(["Ctrl", "Enter"])
