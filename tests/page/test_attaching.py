"""Files that go along with a message: what becomes text in the browser, and what is said of what does not."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browsers import answering, last_answer, opened, say
from support.bundles import Server
from support.documents import docx, pdf


def test_a_text_file_goes_along(browser: Browser, server: Server) -> None:
    with opened(browser, server.url, before=answering({"content": "Read."})) as page:
        file = {"name": "poem.txt", "mimeType": "text/plain", "buffer": "Röses ```\nare red\n".encode()}
        page.get_by_label("Files to attach").set_input_files([file])
        expect(page.locator(".composer .chips")).to_contain_text("poem.txt")
        say(page, "What is in it?")
        last_answer(page)
        content = page.asked[0]["messages"][0]["content"]  # type: ignore[attr-defined]
        assert content == "poem.txt:\n````\nRöses ```\nare red\n````\n\nWhat is in it?"
        expect(page.locator(".bubble .chips")).to_contain_text("poem.txt")


PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005000201a2c4a5c10000000049454e44ae426082"
)
REFUSED = [
    ("x.bin", "application/octet-stream", b"\xff\xfe\x00", "it is not a text file"),
    ("x.txt", "text/plain", b"a\0b", "it is not a text file"),
    ("x.txt", "text/plain", b"", "it is empty"),
    ("x.txt", "text/plain", b"a" * 2_000_001, "it is larger than 2 MB"),
    ("x.png", "image/png", PICTURE, "this model does not see pictures"),
]


@pytest.mark.parametrize(("name", "kind", "content", "told"), REFUSED)
def test_a_file_that_cannot_be_read_is_refused(page: Page, name: str, kind: str, content: bytes, told: str) -> None:
    page.locator("header .model").get_by_text("demo").wait_for()
    page.get_by_label("Files to attach").set_input_files([{"name": name, "mimeType": kind, "buffer": content}])
    expect(page.get_by_role("alert").filter(has_text=f"{name}: {told}")).to_be_visible()
    expect(page.locator(".composer .chips")).to_have_count(0)


def test_of_several_files_each_that_cannot_be_read_is_told(page: Page) -> None:
    names = ("empty.txt", "good.txt", "void.txt")
    files = [{"name": name, "mimeType": "text/plain", "buffer": b"x" * ("good" in name)} for name in names]
    page.get_by_label("Files to attach").set_input_files(files)  # type: ignore[arg-type]
    expect(page.get_by_role("alert")).to_have_text("empty.txt: it is empty\nvoid.txt: it is empty", use_inner_text=True)
    expect(page.locator(".composer .chips li")).to_have_count(1)


# -- documents ------------------------------------------------------------------------------------------------


PDF = "application/pdf"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML = "text/html"

PARAGRAPHS = (
    '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Bread</w:t></w:r></w:p>'
    "<w:p><w:r><w:t>Flour &amp; water.</w:t></w:r></w:p>"
    "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>flour</w:t></w:r></w:p></w:tc>"
    "<w:tc><w:p><w:r><w:t>500 g</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
)
PAGE = """<!doctype html><html><head><meta charset="%s"><title>Loaves</title><style>p { color: red }</style>
<script>window.ran = 1; document.write('<p>no</p>')</script></head><body><h2>How to bake</h2>
<p>Knead  it   w\u00e4ll.<br>Then wait.</p>
<ul><li>flour<ol><li>rye</li><li>spelt</li></ol></li><li><p>water</p></li></ul>
<table><tr><th>what</th><th>how much</th></tr><tr><td><p>salt</p></td><td>10 g</td></tr></table>
<pre>one
  two</pre><img src="https://example.org/x.png" onerror="window.ran = 1"></body></html>"""
PAGE_TEXT = """Loaves

## How to bake

Knead it w\u00e4ll.
Then wait.

- flour
  1. rye
  2. spelt
- water

| what | how much
| salt | 10 g

one
  two"""

DOCUMENTS = [
    ("bread.pdf", PDF, pdf(["First line", "second line"], ["Next page"]), "First line\nsecond line\n\nNext page"),
    ("bread.docx", WORD, docx(PARAGRAPHS), "# Bread\n\nFlour & water.\n\n| flour | 500 g"),
    ("bread.html", HTML, (PAGE % "utf-8").encode(), PAGE_TEXT),
    ("bread.htm", "", (PAGE % "iso-8859-1").encode("latin1"), PAGE_TEXT),
]


@pytest.mark.parametrize(("name", "kind", "content", "text"), DOCUMENTS, ids=[row[0] for row in DOCUMENTS])
def test_a_document_becomes_text(
    browser: Browser, server: Server, name: str, kind: str, content: bytes, text: str
) -> None:
    """Under the page's own policy: whatever of it were refused, or came from elsewhere, would be complained of."""
    with opened(browser, server.url, before=answering({"content": "Read."})) as page:
        page.get_by_label("Files to attach").set_input_files([{"name": name, "mimeType": kind, "buffer": content}])
        expect(page.locator(".composer .chips")).to_contain_text(name)
        say(page, "What is in it?")
        last_answer(page)
        asked: Any = page.asked[0]  # type: ignore[attr-defined]
        assert asked["messages"][0]["content"] == f"{name}:\n```\n{text}\n```\n\nWhat is in it?"
        assert page.evaluate("window.ran") is None


BROKEN = [
    ("x.pdf", PDF, b"%PDF-1.7 and then nothing", "it cannot be read as a PDF"),
    ("x.pdf", PDF, pdf([]), "it has no text: its pages are pictures of text"),
    ("x.docx", WORD, b"PK\x03\x04 and then nothing", "it cannot be read as a Word document"),
    ("x.docx", WORD, docx(""), "it has no text"),
    ("x.html", HTML, b"<script>1</script>", "it has no text"),
    ("x.html", HTML, b"<meta charset=klingon>\xff", "its encoding is not known: klingon"),
    ("x.doc", "application/msword", b"\xd0\xcf\x11\xe0", "it is not a text file: save it as .docx"),
    ("x.xlsx", "", b"PK", "it is not a text file: save it as .csv"),
]


@pytest.mark.parametrize(("name", "kind", "content", "told"), BROKEN, ids=[f"{row[0]} {row[3]}" for row in BROKEN])
def test_a_document_that_cannot_be_read_is_refused(page: Page, name: str, kind: str, content: bytes, told: str) -> None:
    page.locator("header .model").get_by_text("demo").wait_for()
    page.get_by_label("Files to attach").set_input_files([{"name": name, "mimeType": kind, "buffer": content}])
    expect(page.get_by_role("alert").filter(has_text=f"{name}: {told}")).to_be_visible()
    expect(page.locator(".composer .chips")).to_have_count(0)


# -- room in the context --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "told"), [(100, "of 2,048 tokens of context"), (4000, "This does not fit")])
def test_what_does_not_fit_is_said_before_it_is_sent(page: Page, words: int, told: str) -> None:
    file = {"name": "long.txt", "mimeType": "text/plain", "buffer": b"bread " * words}
    page.get_by_label("Files to attach").set_input_files([file])
    expect(page.locator(".composer .fit")).to_contain_text(told)
    page.get_by_role("button", name="Remove long.txt").click()
    expect(page.locator(".composer .fit")).to_have_count(0)
