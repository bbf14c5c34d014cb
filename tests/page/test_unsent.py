"""What was written and not sent: nothing of it is lost, whatever happens meanwhile."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from support.browsers import answering, answering_each, endless, last_answer, opened, say
from support.bundles import Server

POEM = {"name": "poem.txt", "mimeType": "text/plain", "buffer": b"Roses are red\n"}


def message(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message", exact=True)


def edited(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Edit the message")


def test_an_edit_is_sent_while_an_answer_is_coming(page: Page) -> None:
    endless(page)
    say(page, "Who was the first man on the moon?")
    expect(page.locator(".turn.assistant .markdown")).to_contain_text("Armstrong")
    page.get_by_role("button", name="Edit and send again").click()
    edited(page).fill("Who was it?")
    page.unroute_all()
    page.keyboard.press("Enter")
    expect(page.locator(".bubble")).to_have_text("Who was it?")
    last_answer(page)
    page.get_by_role("button", name="Previous branch").click()
    expect(page.locator(".bubble")).to_have_text("Who was the first man on the moon?")
    expect(page.get_by_text("Stopped.")).to_be_visible()


@pytest.mark.parametrize("reloads", [False, True], ids=["another is opened", "a reload"])
def test_what_is_half_written_is_there_again(browser: Browser, server: Server, reloads: bool) -> None:
    with opened(browser, server.url, before=answering({"content": "one"})) as page:
        page.get_by_role("button", name="New conversation").first.click()
        say(page, "first")
        last_answer(page)
        message(page).fill("half a question")
        page.get_by_role("button", name="Edit and send again").click()
        edited(page).fill("half an edit")
        if not reloads:
            page.get_by_role("button", name="New conversation").first.click()
            expect(message(page)).to_have_value("")
            page.get_by_role("link", name="first", exact=True).click()
        else:
            page.reload()
        expect(message(page)).to_have_value("half a question")
        expect(edited(page)).to_have_value("half an edit")
        page.get_by_role("button", name="Cancel").click()
        say(page, "half a question")
        page.reload()
        expect(message(page)).to_have_value("")
        expect(edited(page)).to_have_count(0)


@pytest.mark.parametrize("reloads", [False, True], ids=["at once", "after a reload"])
def test_an_edit_that_was_left_by_escape_can_be_gone_on_with(browser: Browser, server: Server, reloads: bool) -> None:
    with opened(browser, server.url, before=answering({"content": "one"})) as page:
        say(page, "first")
        last_answer(page)
        edit = page.get_by_role("button", name="Edit and send again")
        edit.click()
        edited(page).press("Escape")
        expect(page.get_by_role("button", name="Go on editing")).to_have_count(0)
        edit.click()
        edited(page).fill("half an edit")
        edited(page).press("Escape")
        expect(page.locator(".bubble")).to_have_text("first")
        if reloads:
            page.reload()
        page.get_by_role("button", name="Go on editing").click()
        expect(edited(page)).to_have_value("half an edit")
        edited(page).press("Escape")
        edit.click()
        expect(edited(page)).to_have_value("half an edit")
        edited(page).press("Escape")
        page.get_by_role("button", name="Discard").click()
        expect(edit).to_be_focused()
        edit.click()
        expect(edited(page)).to_have_value("first")


def test_a_new_conversation_keeps_its_draft_its_files_and_its_system_prompt(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, before=answering({"content": "one"})) as page:
        say(page, "first")
        last_answer(page)
        page.get_by_role("button", name="New conversation").first.click()
        page.get_by_role("button", name="Settings").click()
        page.get_by_role("textbox", name="System prompt").fill("Be brief.")
        page.get_by_role("button", name="Close the settings").click()
        page.get_by_label("Files to attach").set_input_files([POEM])
        message(page).fill("What is in it?")
        page.get_by_role("link", name="first", exact=True).click()
        expect(page.locator(".composer .chips")).to_have_count(0)
        page.get_by_role("button", name="New conversation").first.click()
        expect(message(page)).to_have_value("What is in it?")
        page.keyboard.press("Enter")
        last_answer(page)
        asked = page.asked[-1]["messages"]  # type: ignore[attr-defined]
        assert asked[0] == {"role": "system", "content": "Be brief."}
        assert asked[1]["content"].startswith("poem.txt:")
        page.get_by_role("button", name="New conversation").first.click()
        expect(page.locator(".composer .chips")).to_have_count(0)
        expect(message(page)).to_have_value("")


def test_a_draft_of_a_new_conversation_and_a_prompt_outlive_a_reload(page: Page) -> None:
    message(page).fill("half a question")
    page.reload()
    expect(message(page)).to_have_value("half a question")
    page.get_by_role("link", name="Completion").click()
    prompt = page.get_by_role("textbox", name="Prompt")
    prompt.fill("Once upon")
    page.reload()
    expect(prompt).to_have_value("Once upon")
    page.get_by_role("button", name="New conversation").first.click()
    expect(message(page)).to_have_value("half a question")


def test_what_is_asked_of_programs_opens_beside_the_page(page: Page) -> None:
    page.locator("header .model").click()
    expect(page.get_by_role("link", name="All that can be asked")).to_have_attribute("target", "_blank")


def test_files_of_an_edited_message_are_seen_and_can_be_left_out(browser: Browser, server: Server) -> None:
    answers = answering_each([[{"content": "one"}], [{"content": "two"}]])
    with opened(browser, server.url, before=answers) as page:
        page.get_by_label("Files to attach").set_input_files([POEM, {**POEM, "name": "other.txt"}])
        say(page, "Which?")
        last_answer(page)
        page.get_by_role("button", name="Edit and send again").click()
        expect(page.locator(".editing .chips li")).to_have_text([re.compile("poem.txt"), re.compile("other.txt")])
        page.get_by_role("button", name="Remove poem.txt").click()
        edited(page).fill("This one?")
        page.keyboard.press("Enter")
        expect(page.locator(".turn.assistant .markdown")).to_have_text("two")
        content = page.asked[-1]["messages"][0]["content"]  # type: ignore[attr-defined]
        assert content == "other.txt:\n```\nRoses are red\n```\n\nThis one?"


def test_stopped_before_a_word_came_the_question_stays_with_a_way_on(page: Page) -> None:
    page.route("**/v1/chat/completions", lambda _route: None)
    say(page, "Who was the first man on the moon?")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".turn.assistant .markdown")).to_contain_text("Armstrong")
    last_answer(page)
    expect(page.get_by_role("button", name="Previous branch")).to_have_count(0)


def test_to_stop_does_not_send_what_has_been_written_meanwhile(page: Page) -> None:
    page.route("**/v1/chat/completions", lambda _route: None)
    say(page, "Who was the first man on the moon?")
    message(page).fill("half a question")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    expect(message(page)).to_have_value("half a question")
    expect(page.locator(".bubble")).to_have_count(1)
