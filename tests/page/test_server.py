"""The page and its server: loading, gone and back, asking for a key; several models; raw completions."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from support.browsers import endless, last_answer, opened, say
from support.bundles import DEMO_GGUF, Server, loaf

QUESTION = "Who was the first man on the moon?"
NO_ANSWER = ["Failed to load resource"]


# -- conditions -----------------------------------------------------------------------------------------------


def test_a_question_waits_for_the_model(browser: Browser, server: Server) -> None:
    """While it loads the page says how far it is; what was sent meanwhile goes off when it is there."""
    loading = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error", "progress": 0.25}}

    def hold(page: Page) -> None:
        page.route("**/health", lambda route: route.fulfill(status=503, json=loading))

    with opened(browser, server.url, before=hold, excused=NO_ANSWER) as page:
        expect(page.get_by_text("Loading model …")).to_be_visible()
        expect(page.get_by_role("progressbar", name="Loading")).to_have_attribute("value", "0.25")
        page.get_by_role("textbox", name="Message").fill(QUESTION)
        page.keyboard.press("Enter")
        expect(page.get_by_text("Goes off as soon as the model is ready")).to_be_visible()
        page.unroute_all()
        assert "Armstrong" in last_answer(page).inner_text()
        expect(page.get_by_text("Loading model")).to_be_hidden()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_the_server_goes_and_comes_back(browser: Browser, demo: Path, warm_cache: Path, number: signal.Signals) -> None:
    """Killed, or told to stop, which ends its answers with an error: either way they can be gone on with."""
    port = free_port()
    flags = ["--port", str(port), "--drain-seconds", "0"]
    server = Server(demo, *flags, cache=warm_cache).__enter__()
    try:
        with opened(browser, server.url, excused=NO_ANSWER) as page:
            say(page, QUESTION)
            last_answer(page)
            endless(page)
            say(page, "And then?")
            expect(page.locator(".turn.assistant .markdown")).to_have_count(2)
            server.process.send_signal(number)
            server.process.wait()
            expect(page.get_by_text("The server left before the answer was complete.")).to_be_visible()
            expect(page.get_by_text("The server does not answer.")).to_be_visible()
            expect(page.get_by_text(f"./demo.loaf --server --port {port}")).to_be_visible()
            page.get_by_role("textbox", name="Message").fill("written meanwhile")
            page.unroute_all()
            with Server(demo, *flags, cache=warm_cache):
                expect(page.get_by_text("The server does not answer.")).to_be_hidden()
                expect(page.get_by_role("textbox", name="Message")).to_have_value("written meanwhile")
                page.get_by_role("button", name="Continue").click()
                last_answer(page)
                page.get_by_role("button", name="Send", exact=True).click()
                expect(page.locator(".turn.assistant .stats")).to_have_count(3)
    finally:
        server.process.kill()


@pytest.mark.parametrize(
    ("file", "command"),
    [("a model.loaf", "'./a model.loaf' --server"), ("it's.loaf", r"'./it'\''s.loaf' --server"), ("", "")],
)
def test_the_file_that_is_to_be_started_again_is_named(
    browser: Browser, server: Server, file: str, command: str
) -> None:
    def rename(page: Page) -> None:
        def answer(route: Route) -> None:
            props = route.fetch().json()
            props["loaf"]["file"] = file
            route.fulfill(json=props)

        page.route("**/props?*", answer)

    with opened(browser, server.url, before=rename, excused=NO_ANSWER) as page:
        expect(page.locator(".welcome .facts")).to_contain_text("parameters")
        page.route("**/health", lambda route: route.abort())
        notice = page.locator(".notice")
        expect(notice).to_contain_text("The server does not answer.", timeout=20_000)
        expect(notice).to_contain_text(f"flags that it had before: {command}" if file else "as it was started before")


def test_a_server_that_hangs_is_told_and_its_answer_goes_on(browser: Browser, demo: Path, warm_cache: Path) -> None:
    with Server(demo, cache=warm_cache) as server, opened(browser, server.url, excused=NO_ANSWER) as page:
        endless(page)
        say(page, QUESTION)
        expect(page.locator(".turn.assistant .markdown")).to_be_visible()
        server.process.send_signal(signal.SIGSTOP)
        try:
            expect(page.get_by_text("The server does not answer.")).to_be_visible(timeout=20_000)
        finally:
            server.process.send_signal(signal.SIGCONT)
        expect(page.get_by_text("The server does not answer.")).to_be_hidden()
        page.keyboard.press("Escape")


def test_a_key_is_asked_for(browser: Browser, demo: Path, warm_cache: Path) -> None:
    with (
        Server(demo, "--api-key", "right", cache=warm_cache) as server,
        opened(browser, server.url, excused=NO_ANSWER) as page,
    ):
        dialog = page.get_by_role("dialog", name="This server asks for a key")
        expect(dialog.get_by_label("Key", exact=True)).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_be_visible()
        for key in ("wrong", "right"):
            dialog.get_by_label("Key", exact=True).fill(key)
            page.keyboard.press("Enter")
            if key == "wrong":
                expect(dialog.get_by_role("alert")).to_have_text("The server does not know this key.")
        expect(dialog).to_be_hidden()
        say(page, QUESTION)
        assert "Armstrong" in last_answer(page).inner_text()
        page.reload()
        expect(page.locator("header .model")).to_have_text("demo")
        expect(dialog).to_be_hidden()
        assert page.evaluate("Object.values(localStorage).join()").find("right") < 0, "it goes with the tab"


def test_an_error_is_told_and_the_question_asked_again(browser: Browser, server: Server) -> None:
    """For a prompt that is longer than the real server's context: with both figures, and what helps."""
    with opened(browser, server.url, excused=NO_ANSWER) as page:
        say(page, "word " * 4000)
        expect(page.locator(".ended.problem")).to_contain_text("The conversation no longer fits: it has 8,009 tokens")
        page.get_by_role("button", name="Edit and send again").click()
        page.get_by_role("textbox", name="Edit the message").fill(QUESTION)
        page.get_by_role("button", name="Send", exact=True).first.click()
        assert "Armstrong" in last_answer(page).inner_text()


@pytest.mark.parametrize(
    "body", ["data: {not json\n\n", 'data: {"choices": []}\n\n', "", 'data: {"error": {"message": "no memory"}}\n\n']
)
def test_a_stream_that_is_none_ends_the_answer_only(browser: Browser, server: Server, body: str) -> None:
    with opened(browser, server.url) as page:
        page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=body))
        say(page, "Go")
        page.get_by_role("button", name="Try again").wait_for()
        page.unroute_all()
        page.get_by_role("button", name="Try again").click()
        last_answer(page)


def test_what_is_only_being_kept_has_not_been_lost(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, before=slow_to_keep) as page:
        say(page, QUESTION)
        page.locator(".turn.assistant").wait_for()
        assert page.locator(".ended").count() == 0
        assert "Armstrong" in last_answer(page).inner_text()


def slow_to_keep(page: Page) -> None:
    """Has the browser take its time before it says that something is kept."""
    page.add_init_script("""
      IDBTransaction.prototype.addEventListener = function (kind, then, ...more) {
        const late = (event) => setTimeout(() => then.call(this, event), 500);
        EventTarget.prototype.addEventListener.call(this, kind, kind === "complete" ? late : then, ...more);
      };
    """)


# -- models ---------------------------------------------------------------------------------------------------


def test_another_model_is_chosen(browser: Browser, warm_cache: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "two.loaf"
    shutil.copy(DEMO_GGUF, tmp_path / "other.gguf")
    loaf("build", "demo", f"--also=other={tmp_path / 'other.gguf'}", "-o", str(bundle), check=True)
    with Server(bundle, cache=warm_cache) as server, opened(browser, server.url) as page:
        page.get_by_role("combobox", name="Model").select_option("other")
        for _ in range(2):
            with page.expect_request("**/v1/chat/completions") as sent:
                say(page, QUESTION)
            assert sent.value.post_data_json["model"] == "other"
            expect(last_answer(page).locator(".stats")).to_contain_text("other")
            page.reload()
            expect(page.get_by_role("combobox", name="Model")).to_have_value("other")


def test_a_base_model_that_is_chosen_in_a_conversation_is_told_as_that(browser: Browser, server: Server) -> None:
    """Two names for the one model that is there, and of the second the server says that it has no template."""

    def two(page: Page) -> None:
        def models(route: Route) -> None:
            listed = route.fetch().json()
            listed["data"].append({**listed["data"][0], "id": "raw"})
            route.fulfill(json=listed)

        def props(route: Route) -> None:
            of_demo = server.get("/props")[1]
            of_demo["loaf"]["models"][0]["has_chat_template"] = False
            route.fulfill(json=of_demo)

        page.route("**/v1/models", models)
        page.route("**/props?model=raw", props)

    with opened(browser, server.url, before=two) as page:
        say(page, QUESTION)
        last_answer(page)
        expect(page.locator(".notice")).to_have_count(0)
        choice = page.get_by_role("combobox", name="Model")
        choice.select_option("raw")
        expect(page.locator(".notice")).to_contain_text("raw is a base model: it goes on with text, and was not taught")
        page.locator(".notice").get_by_role("link", name="Completion").click()
        expect(page.get_by_text("is a base model")).to_have_count(1)
        expect(page.locator(".notice")).to_have_count(0)
        page.go_back()
        expect(page.locator(".notice")).to_be_visible()
        choice.select_option("demo")
        expect(page.locator(".notice")).to_have_count(0)


def test_a_file_without_a_writer_says_so(browser: Browser, server: Server) -> None:
    only = {"data": [{"id": "em", "capabilities": ["embedding"], "meta": {}}]}

    def vectors(page: Page) -> None:
        page.route("**/v1/models", lambda route: route.fulfill(json=only))

    with opened(browser, server.url, before=vectors) as page:
        expect(page.get_by_text("No model in this file writes text.")).to_be_visible()


# -- completions ----------------------------------------------------------------------------------------------


def test_a_raw_prompt_and_its_probabilities(page: Page) -> None:
    page.get_by_role("link", name="Completion").click()
    page.get_by_role("textbox", name="Prompt").fill("The first man on the moon was")
    with page.expect_request("**/completion") as sent:
        page.get_by_role("button", name="Complete").click()
    assert sent.value.post_data_json["prompt"] == "The first man on the moon was"
    expect(page.locator(".continuation .stats")).to_contain_text("tokens/s")
    tokens = page.get_by_role("group", name="Tokens")
    tokens.get_by_role("button", name="Armstrong").first.hover()
    taken = page.get_by_role("complementary", name="Probabilities").locator(".taken")
    expect(taken).to_contain_text("Armstrong")
    expect(taken.get_by_role("meter")).to_be_visible()
    expect(page.get_by_role("complementary").get_by_role("listitem")).to_have_count(10)


def test_another_token_is_chosen_and_gone_on_with(page: Page) -> None:
    page.get_by_role("link", name="Completion").click()
    page.get_by_role("textbox", name="Prompt").fill("The first man on the moon was")
    page.get_by_role("spinbutton", name="Tokens").fill("8")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Complete").click()
    expect(page.locator(".continuation .stats")).to_be_visible()
    page.locator(".token").nth(2).hover()
    other = page.get_by_role("complementary").get_by_role("button", disabled=False).first
    text = other.inner_text().replace("␣", " ").replace("⏎", "\n")
    before = page.locator(".token").all_text_contents()[:2]
    with page.expect_request("**/completion") as sent:
        other.click()
    assert sent.value.post_data_json["prompt"] == "The first man on the moon was" + "".join(before) + text
    expect(page.locator(".token.chosen")).to_have_text(text, use_inner_text=False)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
