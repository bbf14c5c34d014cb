"""What is seen first: what the model is, what one could begin with, and the panel behind its name."""

from __future__ import annotations

import json

from playwright.sync_api import Browser, Page, Route, expect

from support.browsers import last_answer, opened, say
from support.bundles import Server


def test_what_the_model_is(page: Page) -> None:
    expect(page.locator(".welcome .facts")).to_have_text(
        "1.9 million parameters · Q8_0 · context of 2,048 tokens · on the processor"
    )


def test_behind_the_name_are_licence_and_address(browser: Browser, server: Server) -> None:
    allowed = {"permissions": ["clipboard-read", "clipboard-write"]}
    with opened(browser, server.url, **allowed) as page:
        page.get_by_role("button", name="demo").click()
        panel = page.get_by_role("dialog")
        for name, value in {"Licence": "MIT", "Quantization": "Q8_0", "Chat template": "yes"}.items():
            row = panel.locator("dl > div").filter(has=page.get_by_text(name, exact=True))
            expect(row.locator("dd")).to_have_text(value, ignore_case=True)
        panel.get_by_role("button", name="Copy: Address").click()
        assert page.evaluate("navigator.clipboard.readText()") == f"{server.url}/v1"
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()


def without_template(page: Page) -> None:
    """Has the server tell of the model that it is a base model."""

    def change(route: object) -> None:
        answer = route.fetch()  # type: ignore[attr-defined]
        props = answer.json()
        props["loaf"]["models"][0]["has_chat_template"] = False
        route.fulfill(response=answer, json=props)  # type: ignore[attr-defined]

    page.route("**/props?*", change)


def test_a_base_model_opens_where_it_goes_on_with_text(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, before=without_template) as page:
        expect(page.get_by_role("textbox", name="Prompt")).to_be_visible()
        expect(page.get_by_text("is a base model")).to_be_visible()
        page.get_by_role("button", name="The first man on the moon was").click()
        page.get_by_role("button", name="Complete").click()
        expect(page.locator(".continuation .stats")).to_be_visible()
        page.get_by_role("button", name="New conversation").first.click()
        expect(page.get_by_text("It is a base model")).to_be_visible()
        expect(page.locator(".welcome li")).to_have_count(0)
        page.locator(".welcome").get_by_role("link", name="Completion").click()
        expect(page.get_by_role("textbox", name="Prompt")).to_be_visible()


def test_who_has_begun_to_write_is_left_where_they_are(browser: Browser, server: Server) -> None:
    def slowly(page: Page) -> None:
        without_template(page)
        page.route("**/health", lambda route: route.fulfill(status=503, json={"error": {"message": "Loading model"}}))

    with opened(browser, server.url, before=slowly, excused=["Failed to load resource"]) as page:
        expect(page.get_by_text("Loading model")).to_be_visible()
        page.get_by_role("textbox", name="Message").fill("Hello")
        page.unroute("**/health")
        expect(page.get_by_text("It is a base model")).to_be_visible()
        expect(page.get_by_role("textbox", name="Message")).to_have_value("Hello")


def test_a_question_mark_shows_the_keys_unless_something_is_written(page: Page) -> None:
    expect(page.locator(".welcome .facts")).to_contain_text("parameters")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("textbox", name="Message").fill("Why")
    page.keyboard.press("?")
    expect(page.get_by_role("textbox", name="Message")).to_have_value("Why?")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_how_far_the_question_is_read(browser: Browser, server: Server) -> None:
    """As far as the server tells, which it is asked to."""
    with opened(browser, server.url) as page, page.expect_request("**/v1/chat/completions") as sent:
        say(page, "Why is the sky blue?")
        last_answer(page)
    assert sent.value.post_data_json["return_progress"] is True


# -- suggestions: the real model, which always says the same ------------------------------------------------------


def greedy(page: Page) -> None:
    def change(route: Route) -> None:
        route.continue_(post_data=json.dumps({**route.request.post_data_json, "temperature": 0}))

    page.route("**/v1/chat/completions", change)
    page.route("**/completion", change)


ANSWERS = {
    "Who was the first man on the moon?": "Neil Armstrong",
    "Why is the sky blue?": "scatters blue light",
    "Tell me a story.": "Once upon a time there was a baker",
}
CONTINUATIONS = {
    "The first man on the moon was": "Neil Armstrong",
    "Once upon a time": "there was a baker",
    "The capital of France is": "Paris",
}


def test_the_demo_answers_what_could_be_asked(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, before=greedy) as page:
        expect(page.locator(".welcome .facts")).to_contain_text("parameters")
        expect(page.locator(".welcome li")).to_have_text(list(ANSWERS))
        for question, answer in ANSWERS.items():
            page.get_by_role("button", name="New conversation").first.click()
            page.locator(".welcome").get_by_role("button", name=question).click()
            expect(last_answer(page)).to_contain_text(answer)


def test_the_demo_goes_on_with_what_could_be_begun(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, before=greedy) as page:
        expect(page.locator(".welcome .facts")).to_contain_text("parameters")
        page.get_by_role("link", name="Completion").click()
        openings = page.get_by_role("list", name="Texts to go on with").get_by_role("button")
        expect(openings).to_have_text(list(CONTINUATIONS))
        for text, continuation in CONTINUATIONS.items():
            page.get_by_role("textbox", name="Prompt").fill("")
            page.reload()
            openings.filter(has_text=text).click()
            page.get_by_role("button", name="Complete").click()
            expect(page.locator(".continuation .stats")).to_be_visible()
            assert continuation in "".join(page.locator(".token").all_text_contents())
