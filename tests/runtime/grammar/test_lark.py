"""Grammars in Lark's notation, as the regular expressions that they are, and those that are more."""

from __future__ import annotations

import re

import pytest

from runtime.grammar.json_schema import grammar_of
from runtime.grammar.lark import LarkUnsupported, pattern_of

PATCHES = r"""
// written for this test: a few edits, one a line
start: BEGIN edit+ "end" NEWLINE?
?edit: add | "drop" WS_INLINE path LF -> dropped
  | "move" WS_INLINE path ("to" | "->") path LF
add: "add" WS_INLINE path LF line*
line: /[+](.*)/ LF
path.2: "/"? PART ("/" PART)~0..3
PART: ("a".."z" | "_")+ ["." /[a-z]{1,3}/]
BEGIN: "begin" LF
%import common.LF
%import common.NEWLINE
%import common (WS_INLINE, DIGIT)
"""

LARKS: list[tuple[str, list[str], list[str]]] = [
    # a grammar, what follows it, and what does not
    ('start: "a"', ["a"], ["", "aa", "A"]),
    ('start: "a" "b" | "c"', ["ab", "c"], ["ac", "abc"]),
    ('start: "a"? "b"* "c"+', ["c", "abbcc"], ["ab"]),
    ('start: ["a"] ("b" | /[0-9]+/)', ["b", "a42"], ["a"]),
    ('start: "a" ~ 2', ["aa"], ["a", "aaa"]),
    ('start: "a"~1..2 "x"', ["ax", "aax"], ["x"]),
    ('start: X\nX: "0".."9"+', ["07"], ["a", ""]),
    ('start: "a\\n\\"." /\\//', ['a\n"./'], ['a\n"x/']),
    ('!start: x\n?x: "é" -> one\n  | "]" -> two', ["é", "]"], ["x"]),
    ("start: INT\n%import common.INT", ["12"], ["-1"]),
    (PATCHES, ["begin\nadd /x.py\n+a\n+\ndrop y\nmove a/b->c\nend"], ["begin\nend", "begin\nadd X\nend"]),
]


@pytest.mark.parametrize(("grammar", "texts", "others"), LARKS, ids=[row[0][:30] for row in LARKS])
def test_what_follows_a_grammar(grammar: str, texts: list[str], others: list[str]) -> None:
    pattern = pattern_of(grammar)
    assert grammar_of({"type": "string", "pattern": pattern}), "it is one that is followed here"
    assert [text for text in texts if not re.search(pattern, text)] == []
    assert [text for text in others if re.search(pattern, text)] == []


UNREAD: list[tuple[str, str]] = [
    ("", "start"),
    ("start: x", "'x'"),
    ('start: "(" start ")"', "back to itself"),
    ('start: a\na: "x" b\nb: a?', "back to itself"),
    ('start: "a"i', "flags"),
    ("start: /a/s", "flags"),
    ('start: "a"\n%ignore " "', "%ignore"),
    ("start: X\n%import common.NOTHING", "%import"),
    ("start: X\n%declare X", "%declare"),
    ('start: sep{"a"}\nsep{x}: x ","', "rule"),
    ('start: ("a"', "end"),
    ('start: "a" ~ x', "count"),
    ('start: "ab".."c"', "range"),
    ("start: *", "'*'"),
    ('start: "a" )', "behind"),
    ('start: "a" ; "b"', "';'"),
    ("start: " + "(" * 30 + '"a"' + ")" * 30, "deep"),
    ("start: a0\n" + "\n".join(f"a{i}: a{i + 1} a{i + 1}" for i in range(20)) + '\na20: "abc"', "long"),
]


@pytest.mark.parametrize(("grammar", "says"), UNREAD, ids=[row[0][:30] for row in UNREAD])
def test_what_is_not_read_is_told(grammar: str, says: str) -> None:
    with pytest.raises(LarkUnsupported) as caught:
        pattern_of(grammar)
    assert says in caught.value.reason
