"""What the page makes of answers: Markdown, code, formulas, thoughts, calls, JSON; and that none of it ever runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from support.browsers import answering, answering_each, last_answer, opened, say
from support.bundles import Server


@pytest.fixture(scope="module")
def shared(browser: Browser, server: Server) -> Iterator[Page]:
    """One page for tests that only look at an answer."""
    with opened(browser, server.url) as page:
        yield page


def answer_of(page: Page, text: str) -> Locator:
    """`text` as the answer to a question in a conversation of its own."""
    page.unroute_all()
    answering({"content": text})(page)
    page.get_by_role("button", name="New conversation").first.click()
    expect(page.locator(".turn")).to_have_count(0)
    say(page, "Go")
    return last_answer(page)


# -- Markdown -------------------------------------------------------------------------------------------------


MARKDOWN: list[tuple[str, str, str]] = [
    ("# Title\n\ntext", "h2", "Title"),
    ("a **bold** word", "p > strong", "bold"),
    ("an *emphasised* one", "em", "emphasised"),
    ("~~gone~~", "del", "gone"),
    ("`a < b`", "p > code", "a < b"),
    ("- one\n- two", "ul > li:nth-child(2)", "two"),
    ("3. one\n4. two", "ol[start='3'] > li:nth-child(2)", "two"),
    ("413. far", "ol[start='413'][style*='padding-left'] > li", "far"),
    ("- [x] done", "li input[type=checkbox]:checked", ""),
    ("> said", "blockquote > p", "said"),
    ("a | b\n-|-:\n1 | 2", "td.align-right", "2"),
    ("[site](https://example.org/x)", "a[target=_blank][rel='noopener noreferrer']", "site"),
    ("H<sub>2</sub>O", "sub", "2"),
    ("one<br>two", "p > br", ""),
    ("&lt;b&gt; &amp; &#8364;", "p", "<b> & €"),
    ("![a cat](https://example.org/cat.png)", "p > a", "a cat"),
    (">" * 50_000 + " deep", "p", ">" * 50_000 + " deep"),
]


@pytest.mark.parametrize(("text", "where", "shown"), MARKDOWN, ids=[row[0][:20] for row in MARKDOWN])
def test_markdown(shared: Page, text: str, where: str, shown: str) -> None:
    found = answer_of(shared, text).locator(f".markdown {where}")
    expect(found.first).to_be_attached()
    assert found.first.inner_text().strip() == shown


def test_code_is_coloured_and_copied(browser: Browser, server: Server) -> None:
    text = 'Like so:\n\n```python\nprint("<script>")  # x\n```\n\n```unknown\na = 1\n```'
    allowed = {"permissions": ["clipboard-read", "clipboard-write"]}
    with opened(browser, server.url, before=answering({"content": text}), **allowed) as page:
        say(page, "Code?")
        answer = last_answer(page)
        expect(answer.locator(".hljs-string")).to_have_text('"<script>"')
        expect(answer.locator("pre").nth(1)).to_have_text("a = 1")
        answer.get_by_role("button", name="Copy code").first.click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == 'print("<script>")  # x'


BIT_BY_BIT = """() => {
  const fetched = window.fetch;
  window.fetch = (what, ...rest) => {
    if (!String(what.url ?? what).includes("/chat/completions")) return fetched(what, ...rest);
    const body = new ReadableStream({ start: (to) => { window.come = (content) => {
      const piece = { choices: [{ index: 0, delta: { content }, finish_reason: null }] };
      to.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(piece)}\\n\\n`));
    }; } });
    return Promise.resolve(new Response(body, { headers: { "content-type": "text/event-stream" } }));
  };
}"""
"""Has an answer come as `come` says it."""


def test_code_is_coloured_while_it_comes(page: Page) -> None:
    """With each line, and where a line does not go on for a while."""
    page.evaluate(BIT_BY_BIT)
    say(page, "Code?")
    code = page.locator(".answering code")
    for come, shown, strings in (
        ("```python\nprint(", "print(", []),
        ("'some", "print('some", ["'some"]),
        (" words')", "print('some words')", ["'some words'"]),
        ("\n'more'\n'of", "print('some words')\n'more'\n'of", ["'some words'", "'more'", "'of"]),
        (" it'\n```\n\nSo.", "print('some words')\n'more'\n'of it'", ["'some words'", "'more'", "'of it'"]),
    ):
        page.evaluate("come => window.come(come)", come)
        expect(code).to_have_text(shown, use_inner_text=True)
        expect(code.locator(".hljs-string")).to_have_text(strings)


def test_long_lines_of_code_are_wrapped_where_one_likes(browser: Browser, server: Server) -> None:
    text = f"```python\nprint('{'long ' * 60}')\n```\n\n```python\nshort()\n```"
    with opened(browser, server.url, before=answering({"content": text})) as page:
        say(page, "Code?")
        answer = last_answer(page)
        wrap = answer.get_by_role("button", name="Wrap long lines")
        expect(wrap).to_have_count(1)
        wide = "one => one.scrollWidth > one.clientWidth"
        assert answer.locator("pre").first.evaluate(wide)
        wrap.click()
        assert not answer.locator("pre").first.evaluate(wide)
        page.reload()
        expect(page.get_by_role("button", name="Wrap long lines").first).to_have_attribute("aria-pressed", "true")


FORMULAS: list[tuple[str, str, str]] = [
    (r"so $\frac{a}{b}$ it is", "mfrac", "inline"),
    ("$$\nx^2\n$$", ".display msup", "a block"),
    (r"\[ \sqrt{2} \]", ".display msqrt", "LaTeX's block"),
    (r"and \(\alpha\) too", "mi", "LaTeX's inline"),
    (r"$\begin{pmatrix}1&2\\3&4\end{pmatrix}$", "mtable", "a matrix"),
]


@pytest.mark.parametrize(("text", "where"), [row[:2] for row in FORMULAS], ids=[row[2] for row in FORMULAS])
def test_formulas(shared: Page, text: str, where: str) -> None:
    expect(answer_of(shared, text).locator(f"math {where}, .math{where}").first).to_be_attached()


@pytest.mark.parametrize("text", ["$5 and $6", "it costs 5$ or 6$", r"\$x\$", "`$x$`"])
def test_prices_are_no_formulas(shared: Page, text: str) -> None:
    assert answer_of(shared, text).locator(".math").count() == 0


# -- nothing of it runs ---------------------------------------------------------------------------------------


HOSTILE = [
    "<script>window.ran = 1</script>",
    "text <script>window.ran = 1</script> text",
    '<img src=x onerror="window.ran = 1">',
    '<svg onload="window.ran = 1"><a xlink:href="javascript:window.ran=1"><text>x</text></a></svg>',
    '<iframe srcdoc="<script>parent.ran = 1</script>"></iframe>',
    '<details open ontoggle="window.ran = 1"><summary>x</summary></details>',
    "<style>body { display: none }</style>",
    '<b style="position:fixed;inset:0" onclick="window.ran = 1">x</b>',
    '<a href="javascript:window.ran=1">x</a>',
    '<math><maction actiontype="statusline" xlink:href="javascript:window.ran=1">x</maction></math>',
    '<form action="javascript:window.ran=1"><button>x</button></form>',
    '<meta http-equiv="refresh" content="0;url=javascript:window.ran=1">',
    "<br onclick='window.ran=1'>",
    "<sub><img src=x onerror=window.ran=1></sub>",
    "[x](javascript:window.ran=1)",
    "[x](JaVaScRiPt&colon;window.ran=1)",
    "[x](&#106;avascript:window.ran=1)",
    "[x](data:text/html,<script>opener.ran=1</script>)",
    "[x](vbscript:window.ran=1)",
    "<javascript:window.ran=1>",
    "![x](javascript:window.ran=1)",
    "![x](data:image/svg+xml,<svg onload='window.ran=1'/>)",
    "![x](https://example.org/tells-of-this.png)",
    '```html" onmouseover="window.ran=1\n<img src=x onerror=window.ran=1>\n```',
    "```<img src=x onerror=window.ran=1>\nx\n```",
    "```html\n<script>window.ran = 1</script>\n```",
    r"$\href{javascript:window.ran=1}{x}$",
    r"$\url{javascript:window.ran=1}$",
    r"$\class{turn}{x}\id{message}{y}\style{position:fixed}{z}\data{a=b}{c}$",
    r"$\includegraphics{https://example.org/x.png}$",
    r"$\text{<img src=x onerror=window.ran=1>}$",
    r"$\rule{9999em}{9999em}$ $\hspace{-9999em}x$",
    r"$\def\a{\a\a}\a$",
    "| <img src=x onerror=window.ran=1> |\n|---|\n| <script>window.ran=1</script> |",
    "# <img src=x onerror=window.ran=1>",
    "&lt;script&gt;window.ran=1&lt;/script&gt;",
    "\u202e<script>window.ran=1</script>\x00<img src=x onerror=window.ran=1>",
]


LOOK = """
(turn) => {
  const wrong = [];
  for (const one of turn.querySelectorAll('.markdown *:not(button *)')) {
    const name = one.localName;
    if (/^(script|img|svg|iframe|style|object|embed|form|meta|link|base|maction)$/.test(name)) wrong.push(name);
    for (const { name: attribute, value } of one.attributes) {
      const runs = /^on/.test(attribute) || /^\\s*(javascript|vbscript|data):/i.test(value);
      const strays = attribute === 'id' || (attribute === 'style' && !one.closest('math'));
      if (runs || strays) wrong.push(`${name} ${attribute}=${value}`);
    }
    if (one.closest('math') && getComputedStyle(one).position === 'fixed') wrong.push(`${name} fixed`);
    for (const event of ['mouseover', 'focus', 'load', 'error', 'toggle']) one.dispatchEvent(new Event(event));
  }
  return wrong;
}
"""


@pytest.mark.parametrize("text", HOSTILE)
def test_a_model_s_text_never_runs(shared: Page, text: str) -> None:
    """Nothing of it becomes an element that could, so the page's policy has nothing to complain of."""
    answer = answer_of(shared, f"before\n\n{text}\n\nafter")
    expect(answer).to_contain_text("after")
    for link in answer.locator(".markdown a").all():
        assert (link.get_attribute("href") or "").startswith(("https://", "http://", "mailto:"))
    assert answer.evaluate(LOOK) == []
    assert shared.evaluate("window.ran") is None


def test_thoughts_and_questions_do_not_run_either(browser: Browser, server: Server) -> None:
    hostile = "<img src=x onerror='window.ran = 1'>"
    call = {"index": 0, "id": hostile, "function": {"name": hostile, "arguments": hostile}}
    answers = answering({"reasoning_content": hostile}, {"content": hostile}, {"tool_calls": [call]})
    with opened(browser, server.url, before=answers) as page:
        say(page, hostile)
        last_answer(page)
        page.get_by_text("Thoughts").click()
        assert page.locator(".turns img, .sidebar img").count() == 0
        assert page.evaluate("window.ran") is None


def test_not_even_the_page_itself_can_make_text_markup(browser: Browser, server: Server) -> None:
    """The last line: where our own code went wrong, the browser would refuse, and complain."""
    attempt = """() => {
      try { document.createElement('p').innerHTML = '<b>x</b>'; return 'made'; } catch (error) { return error.name; }
    }"""
    with opened(browser, server.url, excused=["This document requires 'TrustedHTML'"]) as page:
        assert page.evaluate(attempt) == "TypeError"


# -- thoughts, calls, JSON ------------------------------------------------------------------------------------


def test_thoughts_are_folded(browser: Browser, server: Server) -> None:
    answers = answering({"reasoning_content": "Let me "}, {"reasoning_content": "*think*."}, {"content": "Done."})
    with opened(browser, server.url, before=answers) as page:
        say(page, "Think")
        answer = last_answer(page)
        expect(answer.get_by_text("think", exact=True)).to_be_hidden()
        answer.get_by_text("Thoughts").click()
        expect(answer.locator(".reasoning em")).to_have_text("think")
        expect(answer.locator(".markdown").last).to_have_text("Done.")


def test_calls_are_shown_and_given_results(browser: Browser, server: Server) -> None:
    def call(index: int, **function: str) -> dict[str, Any]:
        head = {"id": f"call{index}"} if "name" in function else {}
        return {"tool_calls": [{"index": index, **head, "function": function}]}

    calls = [
        call(0, name="weather", arguments='{"city": "Pa'),
        call(0, arguments='ris"}'),
        call(1, name="clock", arguments="{}"),
    ]
    tools = '[{"type": "function", "function": {"name": "weather"}}]'
    with opened(browser, server.url, before=answering_each([calls, [{"content": "It rains."}]])) as page:
        page.get_by_role("button", name="Settings").click()
        page.get_by_text("JSON schema and tools").click()
        page.get_by_role("textbox", name="Tools").fill(tools)
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        say(page, "How is the weather?")
        shown = page.get_by_role("region", name="Call of weather")
        expect(shown.get_by_label("Arguments")).to_have_text('{\n  "city": "Paris"\n}')
        for name, result in (("weather", "rain"), ("clock", "noon")):
            place = page.get_by_role("region", name=f"Call of {name}")
            place.get_by_role("textbox").fill(result)
            place.get_by_role("button", name="Give the result").click()
            expect(place.get_by_label("Result", exact=True)).to_have_text(result)
        expect(page.get_by_text("It rains.")).to_be_visible()
        first, second = page.asked  # type: ignore[attr-defined]
        assert first["tools"][0]["function"]["name"] == "weather"
        assert [message["role"] for message in second["messages"]] == ["user", "assistant", "tool", "tool"]
        assert second["messages"][2] == {"role": "tool", "content": "rain", "tool_call_id": "call0"}


SCHEMA = """{"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "old": {"type": "boolean"}},
 "required": ["name", "old"], "additionalProperties": false}"""


def test_a_schema_gives_json_that_folds(browser: Browser, server: Server) -> None:
    """The real model, held to it by the server."""
    with opened(browser, server.url) as page:
        page.get_by_role("button", name="Settings").click()
        page.get_by_text("JSON schema and tools").click()
        page.get_by_role("textbox", name="JSON schema").fill(SCHEMA)
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        say(page, "Who was the first man on the moon?")
        answer = last_answer(page)
        expect(answer.locator(".tree summary")).to_have_text("2 fields")
        expect(answer.locator(".tree .name")).to_have_text(["name", "old"])
        answer.get_by_role("button", name="JSON").click()
        expect(answer.locator("pre .hljs-attr")).to_have_text(['"name"', '"old"'])


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("JSON schema", "{", "not JSON"),
        ("JSON schema", "[1]", "not of the form"),
        ("Tools", '{"type": "function"}', "not of the form"),
    ],
)
def test_what_is_no_schema_is_told_and_not_sent(
    browser: Browser, server: Server, field: str, text: str, told: str
) -> None:
    with opened(browser, server.url, before=answering({"content": "fine"})) as page:
        page.get_by_role("button", name="Settings").click()
        page.get_by_text("JSON schema and tools").click()
        page.get_by_role("textbox", name=field).fill(text)
        page.keyboard.press("Tab")
        expect(page.get_by_role("alert").filter(has_text=told)).to_be_visible()
        page.keyboard.press("Escape")
        say(page, "Go")
        last_answer(page)
        assert not {"tools", "response_format"} & page.asked[0].keys()  # type: ignore[attr-defined]
