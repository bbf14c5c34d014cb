"""The page in a real browser: Debian's Chromium, which reaches the server of a test and nothing else."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Route, expect, sync_playwright

WIDE = (1280, 800)
PHONE = (360, 740)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser in which every name but the loopback address leads nowhere."""
    program = shutil.which("chromium-headless-shell")  # without windows of its own, whose pages cost as much as ours
    if program is None:
        pytest.skip("needs Chromium (Debian: apt install chromium-headless-shell)")
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_playwright() as playwright:
        microphone = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")  # one that beeps
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", rules, *microphone])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = WIDE,
    excused: Iterable[str] = (),
    before: Callable[[Page], None] | None = None,
    **options: Any,
) -> Iterator[Page]:
    """The page at `url`, in a profile of its own, ready for a question unless `before` has changed what it meets.

    At the end its console must be free of errors, but for those that begin with one of `excused`, and no request may
    have gone anywhere else.
    """
    size_ = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=size_, reduced_motion="reduce", **options)  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    elsewhere: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(tuple(excused)):
            complaints.append(message.text)

    def see(request: Request) -> None:
        if not request.url.startswith((f"{url}/", "data:", "blob:")):
            elsewhere.append(request.url)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", see)
    page.set_default_timeout(15_000)
    if before is not None:
        before(page)
    page.goto(f"{url}/")
    yield page
    context.close()
    assert complaints == [], complaints
    assert elsewhere == [], elsewhere


def answering(*deltas: dict[str, Any], finish: str = "stop") -> Callable[[Page], None]:
    """Has the page get `deltas` as its answers, whatever it asks. What was asked is in `page.asked`."""
    return answering_each([deltas], finish)


def answering_each(answers: Iterable[Iterable[dict[str, Any]]], finish: str = "stop") -> Callable[[Page], None]:
    """The same, with an answer for each question; the last one is given again."""
    left = [list(deltas) for deltas in answers]

    def prepare(page: Page) -> None:
        asked: list[Any] = []
        page.asked = asked  # type: ignore[attr-defined]

        def answer(route: Route) -> None:
            asked.append(route.request.post_data_json)
            deltas = left.pop(0) if len(left) > 1 else left[0]
            route.fulfill(content_type="text/event-stream", body=stream(deltas, finish))

        page.route("**/v1/chat/completions", answer)

    return prepare


def endless(page: Page) -> None:
    """Has the model write on where it would have ended."""

    def change(route: Route) -> None:
        route.continue_(post_data=json.dumps({**route.request.post_data_json, "ignore_eos": True}))

    page.route("**/v1/chat/completions", change)


TIMINGS = {"cache_n": 16, "prompt_n": 20, "predicted_n": 30, "predicted_per_second": 12.5}


def stream(deltas: Iterable[dict[str, Any]], finish: str) -> str:
    """An answer as `/v1/chat/completions` streams it."""
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    last = {"choices": [], "timings": TIMINGS}
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in [*chunks, last]) + "data: [DONE]\n\n"


def delete_first(page: Page) -> None:
    """The first conversation in the list, as a user does it."""
    listed = page.get_by_role("navigation", name="Conversations").locator(".chats li > a")
    before = listed.count()
    page.get_by_role("button", name=re.compile("^Delete .")).first.click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(listed).to_have_count(before - 1)


def say(page: Page, text: str) -> None:
    """Writes `text` where messages are written, and sends it to a server that is ready."""
    answers = page.locator(".turn.assistant").count()
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".turn.assistant")).to_have_count(answers + 1)


def last_answer(page: Page) -> Locator:
    """The last answer, once it is complete."""
    answer = page.locator(".turn.assistant").last
    answer.locator(".stats").get_by_text("to the first token").wait_for(state="attached")  # folded on a phone
    return answer
