"""Grammars in llama.cpp itself, on the demo model: held to at once, or from a trigger on, and never the end of it."""

from __future__ import annotations

import msgspec
import pytest

from runtime.engine.errors import GrammarInvalid, GrammarStuck, GrammarTooCostly
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.context import Context
from runtime.engine.types import Triggers
from support.llama_runs import GREEDY, PROMPT, go_on, text_of, tokens_of


def test_a_grammar_holds_from_the_beginning(backend: LlamaBackend, context: Context) -> None:
    sampling = msgspec.structs.replace(GREEDY, grammar='root ::= "ab" [0-9]+ "."')
    said = text_of(backend, go_on(context, 0, 0, tokens_of(backend, PROMPT), 4, sampling))
    assert said.startswith("ab")
    with pytest.raises(GrammarInvalid):
        context.new_sampler(msgspec.structs.replace(GREEDY, grammar="root ::= missing"), ())


def test_a_grammar_with_ever_more_ways_ends_its_request(backend: LlamaBackend, context: Context) -> None:
    """Twice as many after each letter: llama.cpp alone would fill the memory."""
    doubling = msgspec.structs.replace(GREEDY, grammar='root ::= "a" root "b" | "a" root "c"')
    with pytest.raises(GrammarTooCostly):
        go_on(context, 0, 0, tokens_of(backend, PROMPT), 200, doubling)
    with pytest.raises(GrammarTooCostly):
        context.new_sampler(msgspec.structs.replace(GREEDY, grammar="root ::= " + "(" * 9_999 + ")" * 9_999), ())


def test_words_that_can_be_read_in_many_ways_are_said(backend: LlamaBackend, context: Context) -> None:
    words = msgspec.structs.replace(GREEDY, grammar='root ::= ([A-Za-z]+ " "?)+')
    said = text_of(backend, go_on(context, 0, 0, tokens_of(backend, PROMPT), 20, words))
    assert said.replace(" ", "").isalpha()


def test_long_tokens_can_be_left_out(backend: LlamaBackend) -> None:
    vocabulary = backend.model.vocabulary
    longer = vocabulary.longer_than(3)
    assert all(len(vocabulary.piece(token, special=True).decode("utf-8", "replace")) > 3 for token in longer)
    assert 0 < len(longer) < len(vocabulary.longer_than(0)) <= vocabulary.size


LAZY: list[tuple[str, str, str]] = [
    ("the trigger is what the model says anyway", "Neil", 'root ::= "Neil" " " "X"+'),
    ("it begins in the middle of a token", "eil", 'root ::= "eil" "y"+'),
    ("what would follow in the same token does not fit", "N", 'root ::= "N" "q"+'),
]


@pytest.mark.parametrize(("word", "grammar"), [row[1:] for row in LAZY], ids=[row[0] for row in LAZY])
def test_a_lazy_grammar_holds_from_its_trigger(
    backend: LlamaBackend, context: Context, word: str, grammar: str
) -> None:
    """The model says "... Neil Armstrong": from the trigger on it may only say what the grammar allows."""
    lazy = msgspec.structs.replace(GREEDY, grammar=grammar, triggers=Triggers(words=(word,)))
    said = text_of(backend, go_on(context, 0, 0, tokens_of(backend, PROMPT), 8, lazy))
    last = grammar[-3]
    _before, found, after = said.partition(word)
    if word == "N":
        assert not found or set(after) == {last}
    else:
        assert found
        assert "Armstrong" not in after
        assert set(after.strip()) <= {last}


def test_a_lazy_grammar_that_is_never_triggered_changes_nothing(backend: LlamaBackend, context: Context) -> None:
    prompt = tokens_of(backend, PROMPT)
    lazy = msgspec.structs.replace(GREEDY, grammar='root ::= "zebra"', triggers=Triggers(words=("zebra",)))
    assert go_on(context, 0, 0, prompt, 10) == go_on(context, 1, 0, prompt, 10, lazy)


def test_a_token_triggers_a_lazy_grammar(backend: LlamaBackend, context: Context) -> None:
    prompt = tokens_of(backend, PROMPT)
    first = go_on(context, 0, 0, prompt, 1)[0]
    piece = backend.model.piece(first).decode()
    lazy = msgspec.structs.replace(GREEDY, grammar=f'root ::= "{piece}" "z"+', triggers=Triggers(tokens=(first,)))
    said = text_of(backend, go_on(context, 1, 0, prompt, 4, lazy))
    assert said.startswith(piece)
    assert set(said.removeprefix(piece)) == {"z"}


def test_a_trigger_that_its_grammar_does_not_take_is_never_said(backend: LlamaBackend, context: Context) -> None:
    """llama.cpp would end the process here."""
    lazy = msgspec.structs.replace(GREEDY, grammar='root ::= "x"', triggers=Triggers(words=("Neil",)))
    try:
        said = text_of(backend, go_on(context, 0, 0, tokens_of(backend, PROMPT), 8, lazy))
    except GrammarStuck:
        return
    assert "Neil" not in said
