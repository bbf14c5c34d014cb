"""Thoughts are counted and ended: as a policy over texts, and in what a model says."""

from __future__ import annotations

import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.context import Context
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings, LoadSettings
from runtime.engine.thoughts import ThoughtLimit, Thoughts
from runtime.engine.weights import Weights
from support.bundles import DEMO_GGUF
from support.llama_runs import GREEDY, go_on, tokens_of

WORDS = ("a", "b ", "<thi", "nk>", "</thi", "nk>", "<think>", "</think>", "é", "\n")
BYTES = [*(word.encode() for word in WORDS), "€".encode()[:1], "€".encode()[1:2], "€".encode()[2:]]
CLOSING = (BYTES.index(b"\n"), BYTES.index(b"</think>"))


def limit(tokens: int, *, begun: bool = False) -> ThoughtLimit:
    return ThoughtLimit(tokens, "<think>", "</think>", CLOSING, begun)


def said(wanted: list[int], bound: ThoughtLimit) -> list[int]:
    """What is said where the model would say `wanted`, were it let."""
    thoughts = Thoughts(bound, BYTES.__getitem__)
    answer = []
    for token in wanted:
        due = thoughts.due()
        answer.append(token if due is None else due)
        thoughts.note(answer[-1])
    return answer


def text(tokens: list[int]) -> bytes:
    return b"".join(BYTES[token] for token in tokens)


@pytest.mark.parametrize(
    ("wanted", "tokens", "begun", "becomes"),
    [
        ("<think> a a a a </think> b", 9, False, "<think> a a a a </think> b"),
        ("<think> a a a a a a a", 2, False, "<think> a a \n </think> a a a"),
        ("a a a a", 2, False, "a a a a"),
        ("a a a a a", 2, True, "a a \n </think> a"),
        ("a a a a a", 0, True, "\n </think> a a a"),
        ("<thi nk> a a a a", 1, False, "<thi nk> a \n </think> a"),
        ("<think> a </think> <think> b b b b", 2, False, "<think> a </think> <think> \n </think> b b"),
        ("a </thi nk> b b b", 2, True, "a </thi \n </think> b b"),
        ("a a </thi nk> b b", 4, True, "a a </thi nk> b b"),
    ],
)
def test_thoughts_end_when_there_are_enough(wanted: str, tokens: int, begun: bool, becomes: str) -> None:
    numbers = {one.strip(" "): i for i, one in reversed(list(enumerate(WORDS)))}

    def parsed(words: str) -> list[int]:
        return [numbers[word] for word in words.split(" ")]

    assert said(parsed(wanted), limit(tokens, begun=begun)) == parsed(becomes)


def test_a_character_is_not_cut() -> None:
    first, second, third = len(BYTES) - 3, len(BYTES) - 2, len(BYTES) - 1
    euro = [first, second, third]
    assert said([*euro, 0, 0, 0], limit(1, begun=True)) == [*euro, *CLOSING, 0]
    assert said([first] * 9, limit(1, begun=True))[5:7] == list(CLOSING), "nor waited for, where none comes"


@given(st.lists(st.integers(0, len(BYTES) - 1), max_size=60), st.integers(0, 12), st.booleans())
def test_no_more_is_thought_than_may_be(wanted: list[int], tokens: int, begun: bool) -> None:
    answer = said(wanted, limit(tokens, begun=begun))
    assert len(answer) == len(wanted)
    thought, thinks, tail = 0, begun, b""
    for token in answer:
        tail += BYTES[token]
        mark = b"</think>" if thinks else b"<think>"
        if thinks:
            thought += 1
        if mark in tail:
            thinks, tail = not thinks, tail.partition(mark)[2]
    ends = answer.count(CLOSING[1]) + text(answer).count(b"</think>")
    assert thought <= tokens + 4 + len(CLOSING) * (1 + ends)


def test_a_model_is_told_to_end_its_thoughts() -> None:
    model = load_model(Weights(DEMO_GGUF), LoadSettings(), threading.Event())
    backend = LlamaBackend(model, ContextSettings(512, 2, 128, 64, 1))
    context = backend.generator
    assert isinstance(context, Context)
    prompt = tokens_of(backend, "The first man on the moon was")
    closing = backend.model.tokenize(" enough</think>", add_special=False, parse_special=True)
    plain = go_on(context, 0, 0, prompt, 12)
    context.keep_prefix(0, 0)
    bound = ThoughtLimit(4, "<think>", "</think>", closing, begun=True)
    replace = msgspec.structs.replace
    probable = replace(GREEDY, n_probs=2)
    for sampling in (GREEDY, probable, replace(probable, post_sampling_probs=True)):
        answer = go_on(context, 0, 0, prompt, 12 + len(closing), replace(sampling, thoughts=bound))
        context.keep_prefix(0, 0)
        assert answer[:4] == plain[:4]
        assert tuple(answer[4 : 4 + len(closing)]) == closing
    strict = replace(GREEDY, thoughts=bound, grammar="root ::= [a-z ]+")
    assert b"</think>" not in b"".join(map(backend.model.piece, go_on(context, 0, 0, prompt, 16, strict)))
    backend.close()
