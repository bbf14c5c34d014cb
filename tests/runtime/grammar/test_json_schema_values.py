"""Random schemas, values and texts: what fits is taken, what is not taken does not fit, and nothing else is written."""

from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
import sys
from decimal import Decimal
from unittest import mock

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runtime.grammar import charset, derivatives
from runtime.grammar.derivatives import Derivatives
from runtime.grammar.errors import SchemaUnsupported
from runtime.grammar.expressions import Expressions
from runtime.grammar.gbnf import Ref, Rules, Text
from runtime.grammar.json_schema import grammar_of
from runtime.grammar.work import Work
from support.bundles import ROOT
from support.gbnf import Gbnf
from support.schema_cases import CASES, INT, Case, obj, typed
from support.schema_check import fits
from support.schema_values import Pair, schemas_and_values, written


@settings(max_examples=200, deadline=None)
@given(schemas_and_values(), st.data())
def test_a_value_that_fits_is_taken(pair: Pair, data: st.DataObject) -> None:
    schema, value = pair
    assert fits(value, schema)
    assert Gbnf(grammar_of(schema)).accepts(data.draw(written(value)))


@settings(max_examples=150, deadline=None)
@given(schemas_and_values(), st.integers(0, 2**32), st.integers(0, 120))
def test_what_is_written_fits(pair: Pair, seed: int, length: int) -> None:
    schema, _ = pair
    matcher = Gbnf(grammar_of(schema))
    text = matcher.sample(random.Random(seed), length)
    assert matcher.accepts(text)
    assert _has_a_name_twice(text) or fits(json.loads(text), schema), text


NOT_IN_PYTHON = {"named group", "classes", "Unicode"}
"""Patterns that mean something else in Python's `re`, or nothing."""


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in NOT_IN_PYTHON], ids=lambda case: case.name)
def test_what_is_written_for_a_case_fits(case: Case) -> None:
    rng = random.Random(0)
    matcher = Gbnf(grammar_of(case.schema))
    for length in (0, 5, 20, 60, 100):
        text = matcher.sample(rng, length)
        assert _has_a_name_twice(text) or fits(json.loads(text), case.schema), text


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_integers_are_taken_if_they_are_in_the_range(data: st.DataObject) -> None:
    integers = st.integers(-(10**18), 10**18) | st.integers(-1200, 1200)
    low, high = sorted((data.draw(integers), data.draw(integers)))
    step = data.draw(st.sampled_from([1, 1, 1, 2, 3, 10, 25]))
    assume(-(-low // step) * step <= high)
    matcher = Gbnf(grammar_of(typed("integer", minimum=low, maximum=high, multipleOf=step)))
    near = st.sampled_from([low, high]).flatmap(lambda end: st.integers(end - 30, end + 30))
    for value in data.draw(st.lists(near | integers | st.integers(low, high), min_size=5, max_size=20)):
        assert matcher.accepts(str(value)) == (low <= value <= high and value % step == 0), value
    assert not matcher.accepts("-0")
    assert not matcher.accepts(f"0{low}".replace("0-", "-0"))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_numbers_are_taken_if_they_are_in_the_range(data: st.DataObject) -> None:
    bounds = st.decimals(-200, 200, places=2) | st.decimals(-1, 1, places=3) | st.integers(-20, 20).map(Decimal)
    low, high = sorted((data.draw(bounds), data.draw(bounds)))
    assume(high - low > Decimal("0.1"))
    exclusive = data.draw(st.tuples(st.booleans(), st.booleans()))
    names = ["exclusiveMinimum" if exclusive[0] else "minimum", "exclusiveMaximum" if exclusive[1] else "maximum"]
    matcher = Gbnf(grammar_of(typed("number", **dict(zip(names, map(float, (low, high)), strict=True)))))
    near = st.tuples(st.sampled_from([low, high]), st.decimals("-0.02", "0.02", places=4)).map(sum)
    for value in data.draw(st.lists(near | st.decimals(-250, 250, places=1) | bounds, min_size=5, max_size=20)):
        text = f"{value:f}".lstrip("-") if value == 0 else f"{value:f}"
        inside = (low < value or (low == value and not exclusive[0])) and (
            value < high or (value == high and not exclusive[1])
        )
        assert matcher.accepts(text) == inside, text


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_subsets_of_properties_are_taken_if_they_are_complete(data: st.DataObject) -> None:
    names = "abcde"[: data.draw(st.integers(0, 5))]
    required = data.draw(st.sets(st.sampled_from(names)) if names else st.just(set()))
    low = data.draw(st.integers(0, len(names)))
    high = data.draw(st.integers(max(low, len(required)), 5))
    matcher = Gbnf(
        grammar_of({**obj(*required, **dict.fromkeys(names, INT)), "minProperties": low, "maxProperties": high})
    )
    for chosen in itertools.product((False, True), repeat=len(names)):
        subset = list(itertools.compress(names, chosen))
        complete = required <= set(subset) and low <= len(subset) <= high
        assert matcher.accepts(json.dumps(dict.fromkeys(subset, 1))) == complete
        if len(subset) > 1:
            assert not matcher.accepts(json.dumps(dict.fromkeys(reversed(subset), 1)))


_ATOMS = st.sampled_from(
    [
        "a",
        "b",
        '"',
        "\\\\",
        "é",
        ".",
        "[ab]",
        '[^a"]',
        "[^\\\\]",
        "\\w",
        "\\d",
        "\\W",
        "[b-é]",
        "/",
        "\\x00",
        "1",
        "^",
        "$",
    ]
)


def _repeated(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    counts = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"])
    return st.tuples(inner, counts).map(lambda pair: f"(?:{pair[0]}){pair[1]}")


def _patterns() -> st.SearchStrategy[str]:
    inside = st.recursive(
        _ATOMS,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=4).map("".join)
            | st.lists(inner, min_size=1, max_size=3).map(lambda ways: f"({'|'.join(ways)})")
            | _repeated(inner)
        ),
        max_leaves=6,
    )
    beginnings = st.sampled_from(["", "^", "(^|a)", "(?=.*a)", "^(?!b|.*é)", "^^", "^(?!^b*$)", "(?=^a)|"])
    return st.tuples(beginnings, inside, st.sampled_from(["", "$", "(a|$)"])).map("".join)


@settings(max_examples=200, deadline=None)
@given(_patterns(), st.lists(st.text('ab"\\é/1\x00-', max_size=6), max_size=10), st.booleans())
def test_patterns_mean_what_they_mean_in_python(pattern: str, texts: list[str], deterministic: bool) -> None:
    steps = derivatives._DETERMINISTIC_STEPS if deterministic else 0
    try:
        with mock.patch.object(derivatives, "_DETERMINISTIC_STEPS", steps):
            accepts = Gbnf(grammar_of(typed("string", pattern=pattern))).accepts
    except SchemaUnsupported as error:
        assert "no value" in error.reason

        def accepts(_: str) -> bool:
            return False

    for text in [*texts, "", "a", "b"]:
        matches = re.search(pattern, text, re.ASCII) is not None
        assert accepts(json.dumps(text, ensure_ascii=False)) == matches, text


RANGES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted).map(tuple), max_size=4)


@given(RANGES, RANGES)
def test_sets_of_code_points(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    def members(ranges: charset.Ranges) -> set[int]:
        assert all(high + 1 < low for (_, high), (low, _) in itertools.pairwise(ranges))
        return {point for low, high in ranges for point in range(low, high + 1)}

    one, other = charset.union(a), charset.union(b)
    assert members(charset.union(a, b)) == members(one) | members(other)
    assert members(charset.intersection(one, other)) == members(one) & members(other)
    assert members(charset.difference(one, other)) == members(one) - members(other)
    assert {point for point in range(22) if charset.contains(one, point)} == members(one)


@given(st.lists(st.text("ab\u00e9", max_size=4)), st.lists(st.text("ab\u00e9", max_size=4)))
def test_lists_of_texts(texts: list[str], others: list[str]) -> None:
    e = Expressions(Work())
    matches = Derivatives(e, Work()).matches
    listed = e.texts(texts)
    for text in [*texts, *others]:
        assert matches(listed, text) == (text in texts)
        assert matches(e.negate(listed), text) == (text not in texts)
        assert matches(e.both(listed, e.texts(others)), text) == (text in texts and text in others)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 4_500), st.integers(0, 4_500), st.booleans(), st.lists(st.integers(0, 9_100), max_size=8))
def test_repetitions(low: int, more: int, endless: bool, counts: list[int]) -> None:
    rules = Rules(Work())
    one = rules.rule("one", (Text("a"),))
    high = None if endless else low + more
    rules.define(rules.reserve("root"), [(*rules.repeat(one, low, high), Text("."))])
    matcher = Gbnf(rules.write("root"))
    for count in [*counts, low, low + more, low + more + 1, max(low - 1, 0)]:
        assert matcher.accepts("a" * count + ".") == (low <= count and (high is None or count <= high))


def test_rules_that_nothing_fits_are_left_out() -> None:
    rules = Rules(Work())
    for name in ("root", "endless", "unused"):
        rules.reserve(name)
    rules.define("root", [(Text("a"), Ref("endless")), (Text("b"), *rules.repeat("endless", 0, None))])
    rules.define("endless", [(Text("c"), Ref("endless"))])
    rules.define("unused", [(Text("d"),)])
    assert rules.write("root") == 'root ::= "b"\n'
    assert rules.write("endless") == ""


def test_the_order_of_hashes_does_not_matter() -> None:
    """In Python the hashes of texts differ from run to run, and with them the order of sets."""
    code = (
        "import hashlib; from support import schema_cases; from runtime.grammar.json_schema import grammar_of;"
        "print(hashlib.sha256(repr([grammar_of(case.schema) for case in schema_cases.CASES]).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1


def _has_a_name_twice(text: str) -> bool:
    """Whether some object does: the one thing that a grammar cannot rule out."""
    found = []
    json.loads(text, object_pairs_hook=lambda pairs: found.append(len(dict(pairs)) < len(pairs)))
    return any(found)
