"""What is seen of the page before its program has come, and that nothing moves when it has."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from support.accessibility import complaints
from support.browsers import PHONE, WIDE, last_answer, opened, say
from support.bundles import Server

PROGRAM = re.compile(r"/assets/app-\w+\.js$")
QUESTION = "Who was the first man on the moon?"


def holding(held: list[Route]) -> Callable[[Page], None]:
    """Keeps the program from the page until one goes on with what is `held`."""
    return lambda page: page.route(PROGRAM, lambda route: held.append(route))


def wait_for(page: Page, held: list[Route]) -> Route:
    while not held:
        page.wait_for_timeout(10)
    return held.pop()


PLACES = """() => [...document.querySelectorAll('#app *:not(svg *)')].map(one => {
    const {x, y, width, height} = one.getBoundingClientRect();
    return [one.tagName, x, y, width, height];
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_what_is_painted_first_stays_where_it_is(browser: Browser, server: Server, size: Any, scheme: Any) -> None:
    held: list[Route] = []
    with opened(browser, server.url, size=size, color_scheme=scheme, before=holding(held)) as page:
        program = wait_for(page, held)
        expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length === 1")
        assert complaints(page) == []
        before, colours = page.evaluate(PLACES), page.evaluate("getComputedStyle(document.body).background")
        program.continue_()
        expect(page.locator("html:not([data-first])")).to_be_attached()
        now = {place[0] for place in page.evaluate(PLACES) if place not in before}
        assert now <= {"SPAN", "P", "STRONG", "BUTTON", "WBR"}, "but for the model's name, which can be pressed"
        assert page.evaluate("getComputedStyle(document.body).background") == colours


def test_what_is_written_before_the_program_is_there(browser: Browser, server: Server) -> None:
    held: list[Route] = []
    with opened(browser, server.url, before=holding(held)) as page:
        program = wait_for(page, held)
        page.locator("#message:focus").wait_for()
        page.keyboard.type("Who was the first")
        page.evaluate("document.querySelector('#message').id_ = 'the same'")
        program.continue_()
        expect(page.locator("html:not([data-first])")).to_be_attached()
        page.keyboard.type(" man on the moon?")
        expect(page.locator("#message")).to_have_value(QUESTION)
        assert page.evaluate("document.querySelector('#message').id_") == "the same", "it was taken over"
        page.keyboard.press("Enter")
        assert "Armstrong" in last_answer(page).inner_text()


def test_what_is_pressed_before_the_program_is_there(browser: Browser, server: Server) -> None:
    held: list[Route] = []
    with opened(browser, server.url, before=holding(held)) as page:
        program = wait_for(page, held)
        page.get_by_role("button", name="Settings").click()
        program.continue_()
        page.get_by_role("textbox", name="System prompt").fill("Be brief.")
        page.get_by_role("button", name="Close the settings").click()
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_file_that_is_chosen_before_the_program_is_there(browser: Browser, server: Server) -> None:
    held: list[Route] = []
    with opened(browser, server.url, before=holding(held)) as page:
        program = wait_for(page, held)
        file = {"name": "poem.txt", "mimeType": "text/plain", "buffer": b"Roses are red"}
        page.get_by_label("Files to attach").set_input_files([file])
        program.continue_()
        expect(page.locator(".composer .chips")).to_contain_text("poem.txt")


def test_a_conversation_is_not_preceded_by_another_view(page: Page) -> None:
    say(page, QUESTION)
    last_answer(page)
    for address in (page.url, re.sub("#.*", "#completion", page.url)):
        held: list[Route] = []
        holding(held)(page)
        page.goto("about:blank")
        page.goto(address, wait_until="commit")
        program = wait_for(page, held)
        expect(page.locator("main")).to_be_attached()
        assert page.locator("main > *:visible").count() == 0
        program.continue_()
        expect(page.locator("main > *:visible").first).to_be_visible()
        expect(page.get_by_role("heading", name="What would you like to know?")).to_have_count(0)


def test_without_javascript_the_page_says_so(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, java_script_enabled=False) as page:
        expect(page.locator("noscript")).to_be_visible()
        expect(page.locator("#app")).to_be_hidden()
