"""Grammars of strangers: read as llama.cpp reads them, and refused before they take its time or memory."""

from __future__ import annotations

import random
import time

import pytest

from runtime.engine.errors import GrammarInvalid, GrammarTooCostly
from runtime.engine.gbnf.reading import read_gbnf
from runtime.engine.gbnf.ways import Ways
from runtime.grammar.json_schema import grammar_of
from support.gbnf import Gbnf
from support.schema_cases import CASES, Case

DOUBLING = 'root ::= "a" root "b" | "a" root "c" | "d"'
WORDS = 'root ::= ([a-z]+ " "?)*'


def ways_after(grammar: str, *tokens: str) -> Ways:
    ways = Ways(read_gbnf(grammar), "root")
    for token in tokens:
        ways.accept(token)
    return ways


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_is_read_as_another_reader_reads_it(case: Case) -> None:
    grammar = grammar_of(case.schema)
    other, rng = Gbnf(grammar), random.Random(case.name)
    for text in (*case.accepted, *case.rejected, *(other.sample(rng, 30) for _ in range(3))):
        begins = [text[:length] for length in range(len(text) + 1)]
        assert [bool(ways_after(grammar, begin)) for begin in begins] == [other.begins(begin) for begin in begins]


READ = [
    ("comments", '# first\nroot ::= # here\n  "a" | # there\n "b" ("c" # in a group\n| "d")\r\n# last', "bd"),
    ("lines", 'root ::=\n"a" |\n\n"b" (\n"c"\n|\n"d"\n)\n\n\n', "bd"),
    ("escapes", r'root ::= "\x41\u00e9\U0001F600\n\"\\" [\]\-\[]', 'Aé😀\n"\\-'),
    ("classes", "root ::= [a-c] [^a-c] [-x] [x-]", "bd--"),
    ("any character", 'root ::= . "b"', "\nb"),
    ("counts", 'root ::= "a"{2} "b"{1,} "c"{0,2} "d"?', "aabbcc"),
    ("a repeated string", 'root ::= "ab"+', "abab"),
    ("a count after a count", 'root ::= "a"{2}{2}', "aaaa"),
    ("the last of two rules", 'root ::= "a"\nroot ::= "b"', "b"),
    ("nothing", "root ::=", ""),
    ("a token of its own", 'root ::= "a" | "b" <think> !<[5]>', "a"),
]  # fmt: skip


@pytest.mark.parametrize(("grammar", "text"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_what_is_read(grammar: str, text: str) -> None:
    assert ways_after(grammar, text)
    assert not ways_after(grammar, "§§")


def test_a_token_of_its_own_is_any_token_here() -> None:
    """Which one only llama.cpp knows."""
    tokens = ("b", "<think>", "what else")
    assert ways_after('root ::= "a" | "b" <think> !<[5]>', *tokens)


REFUSED = [
    ("no grammar", "hello"),
    ("an open string", 'root ::= "a'),
    ("an open class", "root ::= [a"),
    ("an open group", 'root ::= ("a"'),
    ("a group closed twice", 'root ::= "a")'),
    ("no such escape", r'root ::= "\q"'),
    ("a rule that is missing", "root ::= other"),
    ("no root", 'other ::= "a"'),
    ("nothing to repeat", "root ::= *"),
    ("counts the wrong way round, of which llama.cpp makes 2^64 rules", 'root ::= "a"{5,3}'),
    ("more than llama.cpp repeats", 'root ::= "a"{2001}'),
    ("repeated too often together", 'root ::= ("a"{0,100}){100}'),
    ("a zero byte, where llama.cpp stops reading", 'root ::= "a"\0'),
    ("it begins with itself", 'root ::= root "a" | "b"'),
    ("behind something empty, which llama.cpp does not see", 'root ::= e root "a" | "b"\ne ::= f\nf ::= ""'),
]  # fmt: skip


@pytest.mark.parametrize("grammar", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_wrong_is_refused(grammar: str) -> None:
    with pytest.raises(GrammarInvalid):
        Ways(read_gbnf(grammar), "root")


LEVELS = "\n".join(f'r{i} ::= r{i + 1} "a" | r{i + 1} "b"' for i in range(60))

COSTLY = [
    ("too long", 'root ::= "' + "a" * 1_000_000 + '"'),
    ("groups that would end llama.cpp's stack", "root ::= " + "(" * 50_000 + '"a"' + ")" * 50_000),
    ("much, repeated", 'root ::= "' + "a" * 1_000 + '"{2000}'),
    ("2^60 ways to begin", f'root ::= r0\n{LEVELS}\nr60 ::= "x"'),
    ("a class of too many ranges", "root ::= [" + "".join(chr(0x100 + 2 * i) for i in range(3_000)) + "]"),
]  # fmt: skip


@pytest.mark.parametrize("grammar", [row[1] for row in COSTLY], ids=[row[0] for row in COSTLY])
def test_what_would_take_too_much_is_refused(grammar: str) -> None:
    began = time.perf_counter()
    with pytest.raises(GrammarTooCostly):
        Ways(read_gbnf(grammar), "root")
    assert time.perf_counter() - began < 30, "it was not looked at for long"


def test_ways_that_double_come_to_an_end() -> None:
    assert len(ways_after(DOUBLING, "aaaa")) == 48
    with pytest.raises(GrammarTooCostly):
        ways_after(DOUBLING, *["aaaa"] * 10)


def test_a_token_with_too_many_ways_is_noticed_before() -> None:
    ways = ways_after(DOUBLING)
    assert ways.are_few("aaaa")
    assert not ways.are_few("a" * 60 + "!")
    assert ways.cheap_length() in range(8, 16)


def test_ways_that_meet_again_are_few() -> None:
    """Of words there are as many ways as letters to be read in one or several, but the first does."""
    ways = ways_after(WORDS, "internationalization")
    assert len(ways) < 10
    assert ways.are_few("s" * 60)
    assert not ways.are_few("s" * 60 + "!")


@pytest.mark.parametrize("grammar", [grammar_of({}), 'root ::= "a"*', 'root ::= "abc" | [^x]+', "root ::= .*"])
def test_what_is_clear_may_be_of_any_length(grammar: str) -> None:
    assert ways_after(grammar).cheap_length() is None


def test_a_long_text_is_not_remembered() -> None:
    ways = ways_after('root ::= "(" root ")" root | "x"', *["((((x)" for _ in range(3_000)])
    before = len(ways._made)
    for _ in range(20_000):
        ways.accept("x)")
    assert len(ways) == 0
    assert len(ways._made) <= max(before, 25_000)
