"""Markdown in the terminal: what is made of each form, and that it does not matter how a text is cut into pieces."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.console.ansi import styled
from runtime.console.markdown.inline import HOLD, Inline, inline
from runtime.console.markdown.span import Look, Span, merged, width_of_spans
from runtime.console.markdown.stream import LARGEST_TABLE, MarkdownStream
from runtime.console.markdown.wrapping import Wrapped, lines_of
from runtime.console.widths import width_of

MARKS = {look: str(look.name)[0] for look in Look if look is not Look.PLAIN}


def shown(spans: list[Span]) -> str:
    """As in `plain B{bold}`."""
    return "".join(
        span.text if span.look is Look.PLAIN else f"{''.join(MARKS[look] for look in span.look)}{{{span.text}}}"
        for span in merged(spans)
    )


def rendered(text: str, width: int = 40) -> list[Span]:
    stream = MarkdownStream(lambda: width)
    return merged([*stream.push(text), *stream.finish()])


INLINE = [
    ("plain text", "plain text"),
    ("**bold** and *italic* and ***both***", "B{bold} and I{italic} and BI{both}"),
    ("__bold__ and _italic_ but snake_case_name", "B{bold} and I{italic} but snake_case_name"),
    ("*a **b** c*", "I{a }BI{b}I{ c}"),
    ("**a *b***", "B{a }BI{b}"),
    ("5 * 3 * 2 = 30", "5 * 3 * 2 = 30"),
    ("*args and **kwargs", "*args and **kwargs"),
    ("**not closed", "**not closed"),
    ("***a** b*", "BI{a}I{ b}"),
    ("*a*b* and **", "I{a}b* and **"),
    ("*a**b*", "I{a**b}"),
    ("a**b**c", "aB{b}c"),
    ("日本**語**です", "日本B{語}です"),
    ("~~gone~~ but ~one~", "S{gone} but ~one~"),
    ("`*code*` and ``a ` b``", "C{*code*} and C{a ` b}"),
    ("`not closed", "`not closed"),
    ("*a `b* c`", "*a C{b* c}"),
    (r"\*literal\* \a", r"*literal* \a"),
    ("[text](https://x.y)", "L{text}F{ (https://x.y)}"),
    ("[a **b**](u)", "L{a }BL{b}F{ (u)}"),
    ("[w](https://x.y/a_(b))", "L{w}F{ (https://x.y/a_(b))}"),
    ("[https://x.y](https://x.y)", "L{https://x.y}"),
    ("[not] a link (really)", "[not] a link (really)"),
    ("![a cat](cat.png)", "L{a cat}F{ (cat.png)}"),
    ("wow!", "wow!"),
    ("<https://x.y> a < b <b>", "L{https://x.y} a < b <b>"),
    ("one<br>two", "one\ntwo"),
    ("**" + "x" * HOLD + "**", "**" + "x" * HOLD + "**"),
]


@pytest.mark.parametrize(("text", "looks"), INLINE, ids=[row[0][:30] for row in INLINE])
def test_within_a_line(text: str, looks: str) -> None:
    assert shown(inline(text)) == looks


def test_a_mark_waits_only_until_it_is_known() -> None:
    reader = Inline()
    assert shown(reader.push("see **bo")) == "see "
    assert shown(reader.push("ld** now")) == "B{bold} now"
    assert shown(reader.push(" and 5 * ")) == " and 5 * "
    assert shown(reader.push("`" + "x" * HOLD)) == "`" + "x" * HOLD


BLOCKS = [
    ("a heading", "# One\n## Two\n### Three", "BH{One}\nH{Two}\nB{Three}\n"),
    ("no heading", "#hashtag\n####### seven", "#hashtag\n####### seven\n"),
    ("empty lines", "\n\na\n\n\n\nb\n\n", "a\n\nb\n"),
    ("a list", "- a\n* b\n+ c", "B{• }a\nB{• }b\nB{• }c\n"),
    ("a list within", "1. a\n   - b\n10) c", "B{1. }a\n   B{• }b\nB{10) }c\n"),
    ("tasks", "- [ ] a\n- [x] b\n- [c] d", "B{☐ }a\nB{☑ }b\nB{• }[c] d\n"),
    ("no list", "-a\n1.5 litres\n2024. was", "-a\n1.5 litres\nB{2024. }was\n"),
    ("emphasis where a list might begin", "*a*\n**b**\n***c***", "I{a}\nB{b}\nBI{c}\n"),
    ("a quote", "> said **he**\n> > twice", "F{│ said }BF{he}\nF{│ │ twice}\n"),
    ("code", "```py\n**x** = `1`\n```\nend", "F{── py ──────────────────────────────────}\nC{**x** = `1`}\n"
     "F{────────────────────────────────────────}\nend\n"),
    ("code with a fence in it", "````\n```\n````", f"F{{{'─' * 40}}}\nC{{```}}\nF{{{'─' * 40}}}\n"),
    ("code that does not end", "```\nx", f"F{{{'─' * 40}}}\nC{{x}}\nF{{{'─' * 40}}}\n"),
    ("code by its indent", "    x = 1\n- a\n\n    more", "C{    x = 1}\nB{• }a\n\n    more\n"),
    ("code within a line of its own", "```x``` y", "C{x} y\n"),
    ("a rule", "a\n---\n* * *\n- - x", f"a\nF{{{'─' * 40}}}\nF{{{'─' * 40}}}\nB{{• }}- x\n"),
    ("a long line", "one two three four five six seven eight nine", "one two three four five six seven eight\nnine\n"),
    ("a long item", "- one two three four five six seven eight nine",
     "B{• }one two three four five six seven\n  eight nine\n"),
    ("a long word", "see " + "x" * 50 + " there", "see\n" + "x" * 50 + "\nthere\n"),
    ("wide characters", "日" * 25, "日" * 20 + "\n" + "日" * 5 + "\n"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "looks"), [row[1:] for row in BLOCKS], ids=[row[0] for row in BLOCKS])
def test_lines(text: str, looks: str) -> None:
    assert shown(rendered(text)) == looks


TABLE = "| Name | Age |\n|:--|--:|\n| Bob | 7 |\n| Ann `a|b` | 12 |"


def test_a_table_has_columns() -> None:
    assert [line.rstrip() for line in plain(rendered(TABLE)).splitlines()] == [
        "Name    │ Age",
        "────────┼────",
        "Bob     │   7",
        "Ann a|b │  12",
    ]
    assert shown(rendered(TABLE)).startswith("B{Name}   F{ │ }B{Age}\n")


def plain(spans: list[Span]) -> str:
    return "".join(span.text for span in spans)


def test_a_table_that_is_too_wide_is_wrapped_in_its_cells() -> None:
    text = "| a | b |\n|---|---|\n| some words that are many | more words that are many, too |"
    lines = plain(rendered(text, 30)).splitlines()
    assert max(map(width_of, lines)) <= 30
    assert all("│" in line or "┼" in line for line in lines)


def test_a_table_that_fits_in_no_way_becomes_records() -> None:
    lines = plain(rendered("| Name | Age | Town |\n|---|---|---|\n| Bob | 7 | Ulm |\n| Ann |", 12)).splitlines()
    assert lines == ["Name: Bob", "Age: 7", "Town: Ulm", "", "Name: Ann", "Age:", "Town:"]


def test_bars_are_no_table_yet() -> None:
    assert plain(rendered("| a | b |\nc")) == "| a | b |\nc\n"


def test_a_table_without_an_end_is_not_held_back_for_ever() -> None:
    stream = MarkdownStream(lambda: 40)
    assert not stream.push("|a|\n|-|\n")
    assert stream.push("|b|\n" * LARGEST_TABLE)


def test_words_come_as_soon_as_they_are_whole() -> None:
    stream = MarkdownStream(lambda: 40)
    said = [plain(stream.push(piece)) for piece in ("The", " sky", " is", " blue", ".\n")]
    assert said == ["", "The", " sky", " is", " blue.\n"]
    assert [plain(stream.push(piece)) for piece in ("```\n", "x", " = ", "1")][1:] == ["x", " = ", "1"]


def test_a_window_may_change_its_width() -> None:
    widths = [20]
    stream = MarkdownStream(lambda: widths[0])
    stream.push("a\n")
    widths[0] = 3
    assert plain(stream.push("b c d\n")) == "b c\nd\n"


def test_words_are_broken_only_where_they_must_be() -> None:
    assert [plain(line) for line in lines_of([Span("abcdef gh")], 4)] == ["abcd", "ef", "gh"]
    wrapped = Wrapped(4)
    assert plain([*wrapped.push([Span("abcdef gh")]), *wrapped.finish()]) == "abcdef\ngh"


MARKDOWN = st.text(st.sampled_from("ab 1*_`~#>-+|[]()!<\\\n.日\t:x"), max_size=120)


@given(MARKDOWN, st.lists(st.integers(1, 9)), st.integers(20, 60))
@example("*a `b* c`", [1], 40)
@example("| a |\n|--|\nb", [2], 40)
@example("**" + "x" * (HOLD - 3) + "** y", [7], 40)
def test_it_does_not_matter_how_a_text_is_cut(text: str, cuts: list[int], width: int) -> None:
    stream = MarkdownStream(lambda: width)
    spans: list[Span] = []
    place = 0
    for cut in [*cuts, *[1] * len(text)]:
        spans += stream.push(text[place : place + cut])
        place += cut
    spans += stream.finish()
    assert merged(spans) == rendered(text, width)


@given(MARKDOWN, st.integers(20, 60))
def test_every_word_is_shown_and_no_line_is_too_long(text: str, width: int) -> None:
    spans = rendered(text, width)
    lost = set(re.findall(r"[ab1日.x]", text)) - set(plain(spans)) - {"x", "1"}  # `[x]` is a box, `1` may be in a fence
    assert not lost or "`" in text or "~" in text or "(" in text or "|" in text
    for line in plain([span for span in spans if Look.CODE not in span.look]).splitlines():
        assert width_of(line) <= width or len(max(line.split(), key=len, default="")) > width // 2


@given(st.text(max_size=80))
def test_a_text_gives_a_terminal_no_orders(text: str) -> None:
    said = styled(rendered(text), coloured=True)
    assert not re.search(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;]+m)", said)


def test_looks_on_a_terminal() -> None:
    spans = [Span("a"), Span("b\nc", Look.BOLD), Span("d", Look.CODE), Span("e\x1b[2J", Look.HEADING)]
    assert styled(spans, coloured=True) == "a\x1b[1mb\x1b[0m\n\x1b[1mc\x1b[0m\x1b[33md\x1b[0m\x1b[1;36me[2J\x1b[0m"
    assert styled(spans, coloured=False) == "a\x1b[1mb\x1b[0m\n\x1b[1mc\x1b[0md\x1b[1;4me[2J\x1b[0m"


def test_widths() -> None:
    assert width_of("ab日é\u0301") == 5
    assert width_of_spans([Span("a\n"), Span("日")]) == 3
