"""The page at `/`, in a browser, against the real demo bundle: how it is served, and a conversation in it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import re

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browsers import answering, answering_each, endless, last_answer, opened, say
from support.bundles import Server

QUESTION = "Who was the first man on the moon?"


# -- how it is served -----------------------------------------------------------------------------------------


def fetch(server: Server, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers, content


def files(server: Server) -> list[str]:
    """The paths of all that the page is made of: what its files name, and what those name in turn."""
    paths = ["/"]
    for path in paths:
        text = fetch(server, path)[2].decode()
        paths += {f"/assets/{name}" for name in re.findall(r"\w+-[A-Z0-9]{8}\.(?:js|css)", text)}.difference(paths)
    return paths


def test_all_of_it_is_small(server: Server) -> None:
    sizes = {path: len(fetch(server, path, Accept_Encoding="gzip")[2]) for path in files(server)}
    assert len(sizes) > 4, "the page was built"
    readers = {path: size for path, size in sizes.items() if re.match("/assets/(pdf|word)-", path)}
    assert len(readers) == 2
    assert sum(readers.values()) <= 700_000, "of documents, loaded with the first one that is attached"
    assert sum(sizes.values()) - sum(readers.values()) <= 250_000, sizes


def test_files_are_compressed_for_those_who_take_it(server: Server) -> None:
    for path in files(server):
        status, headers, packed = fetch(server, path, Accept_Encoding="gzip, br")
        assert (status, headers["Content-Encoding"], headers["Vary"]) == (200, "gzip", "Accept-Encoding")
        status, headers, plain = fetch(server, path)
        assert (status, headers["Content-Encoding"]) == (200, None)
        assert gzip.decompress(packed) == plain


def test_what_a_browser_has_is_not_sent_again(server: Server) -> None:
    for path in files(server):
        _status, headers, _content = fetch(server, path)
        again, _headers, nothing = fetch(server, path, If_None_Match=headers["ETag"])
        assert (again, nothing) == (304, b"")
        assert ("immutable" in headers["Cache-Control"]) == path.startswith("/assets/")


def test_the_policy_lets_nothing_from_elsewhere_and_nothing_inline_but_its_own(server: Server) -> None:
    for path in [*files(server), "/docs"]:
        _status, headers, content = fetch(server, path)
        policy = headers["Content-Security-Policy"]
        hashes = {"script": "", "style": ""}
        if headers.get_content_type() == "text/html":
            for element, text in re.findall(rb"<(script|style)>(.*?)</", content, re.DOTALL):
                digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
                hashes[element.decode()] += f" 'sha256-{digest}'"
            assert all(hashes.values())
        expected = "default-src 'none'; script-src 'self'{script}; style-src 'self'{style};"
        assert policy.startswith(expected.format(**hashes))
        assert "unsafe" not in policy
        assert "trusted-types 'none'" in policy
        assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")


def test_the_page_of_the_api_runs_under_that_policy(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/docs")
    expect(page.get_by_text("/v1/chat/completions").first).to_be_visible()


def test_the_page_of_the_api_is_for_people(page: Page, server: Server) -> None:
    """Whatever the address ends with; what most requests have comes first, and links have short names."""
    page.goto(f"{server.url}/docs/")
    page.get_by_text("/v1/chat/completions", exact=True).first.click()
    fields = page.locator("details[open] tbody td:first-child")
    assert fields.all_inner_texts()[:2] == ["model", "messages"]
    expect(page.locator("main")).not_to_contain_text("Raises")
    assert page.locator("a[href*='runtime.']").count() == 0
    page.get_by_role("link", name="To the chat").click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


@pytest.mark.parametrize("path", ["/assets/", "/assets/none.js", "/assets/..%2f__init__.py", "/assets/../page.py"])
def test_there_are_no_other_files(server: Server, path: str) -> None:
    assert fetch(server, path)[0] == 404


# -- a conversation -------------------------------------------------------------------------------------------


def test_from_the_file_to_an_answer(page: Page) -> None:
    """As somebody meets it who has never seen it: the place to write has the focus, and Enter sends."""
    page.locator("#message:focus").wait_for()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    assert "Armstrong" in last_answer(page).inner_text()
    assert QUESTION in page.get_by_role("article", name="You").inner_text()


def test_a_question_to_begin_with(page: Page) -> None:
    page.get_by_role("button", name=QUESTION).click()
    assert "Armstrong" in last_answer(page).inner_text()


def test_what_was_said_before_is_sent_too(page: Page) -> None:
    say(page, QUESTION)
    last_answer(page)
    with page.expect_request("**/v1/chat/completions") as sent:
        say(page, "And the second?")
    body = sent.value.post_data_json
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert "Armstrong" in body["messages"][1]["content"]
    last_answer(page)


def test_an_answer_grows_and_is_stopped(page: Page) -> None:
    endless(page)
    say(page, QUESTION)
    answer = page.locator(".turn.assistant .markdown")
    expect(answer).to_contain_text("Armstrong")
    seen = answer.inner_text()
    page.wait_for_function(
        "seen => document.querySelector('.turn.assistant .markdown').innerText.length > seen", arg=len(seen)
    )
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    expect(page.locator(".turn.assistant .stats")).to_contain_text(re.compile(r"tokens/s.*to the first token.*tokens"))
    page.unroute_all()
    page.get_by_role("button", name="Continue").click()
    last_answer(page)
    assert answer.inner_text().startswith(seen), "what was there is gone on with"


def test_escape_stops(page: Page) -> None:
    endless(page)
    say(page, QUESTION)
    expect(page.locator(".turn.assistant .markdown")).to_contain_text("Armstrong")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped.")).to_be_visible()


def test_answers_have_branches(browser: Browser, server: Server) -> None:
    answers = answering_each([[{"content": "one"}], [{"content": "two"}]])
    with opened(browser, server.url, before=answers) as page:
        say(page, "Say a number")
        last_answer(page)
        page.get_by_role("button", name="Answer again").click()
        expect(page.locator(".turn.assistant .markdown")).to_have_text("two")
        page.get_by_role("button", name="Previous branch").click()
        expect(page.locator(".turn.assistant .markdown")).to_have_text("one")
        page.reload()
        expect(page.locator(".turn.assistant .markdown")).to_have_text("one")
        page.get_by_role("button", name="Next branch").click()
        expect(page.locator(".turn.assistant .markdown")).to_have_text("two")


def test_a_question_is_edited_and_sent_again(browser: Browser, server: Server) -> None:
    answers = answering_each([[{"content": "one"}], [{"content": "two"}], [{"content": "three"}]])
    with opened(browser, server.url, before=answers) as page:
        for number, question in enumerate(("first", "second")):
            say(page, question)
            expect(page.locator(".turn.assistant .stats")).to_have_count(number + 1)
        page.get_by_role("button", name="Edit and send again").first.click()
        page.get_by_role("textbox", name="Edit the message").fill("another")
        page.keyboard.press("Enter")
        expect(page.locator(".turn.assistant .markdown")).to_have_text(["three"])
        assert page.asked[-1]["messages"] == [{"role": "user", "content": "another"}]  # type: ignore[attr-defined]
        page.get_by_role("button", name="Previous branch").click()
        expect(page.locator(".turn.assistant .markdown")).to_have_text(["one", "two"])


def test_a_branch_becomes_a_conversation(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, before=answering({"content": "one"})) as page:
        say(page, "first")
        last_answer(page)
        page.get_by_role("button", name="Branch into a new conversation").click()
        expect(page.get_by_role("link", name="first (branch)")).to_have_attribute("aria-current", "page")
        say(page, "second")
        expect(page.locator(".turn.assistant .stats")).to_have_count(2)
        page.get_by_role("link", name="first", exact=True).click()
        expect(page.locator(".turn.assistant")).to_have_count(1)


def test_an_answer_is_copied_as_it_was_written(browser: Browser, server: Server) -> None:
    allowed = {"permissions": ["clipboard-read", "clipboard-write"]}
    with opened(browser, server.url, before=answering({"content": "**bold** text"}), **allowed) as page:
        say(page, "Be bold")
        last_answer(page).get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == "**bold** text"


def test_what_an_answer_took(page: Page) -> None:
    say(page, QUESTION)
    last_answer(page)
    page.get_by_role("button", name="Answer again").click()
    stats = page.locator(".turn.assistant .stats")
    expect(stats).to_contain_text("cached")
    assert re.search(
        r"[\d.]+ tokens/s\s*\d+ ms to the first token\s*\d+ \(\d+ cached\) → \d+ tokens", stats.inner_text()
    )
    size = server_context(page)
    expect(page.get_by_role("meter", name="Context in use")).to_have_attribute("max", str(size))
    used = int(page.get_by_role("meter", name="Context in use").get_attribute("value") or 0)
    assert 20 < used < 200


def server_context(page: Page) -> int:
    return int(page.evaluate("fetch('v1/models').then(r => r.json()).then(l => l.data[0].meta.n_ctx)"))
