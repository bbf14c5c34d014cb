"""Random schemas, values and texts: what fits is taken, what is not taken does not fit, and nothing else is written."""

from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from bundles import ROOT
from gbnf import Gbnf
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from schema_cases import CASES, INT, Case, obj, typed
from schema_check import fits
from schema_values import Pair, schemas_and_values, written

from runtime.grammar import charset
from runtime.grammar.expressions import Expressions
from runtime.grammar.gbnf import Ref, Rules, Text
from runtime.grammar.json_schema import grammar_of
from runtime.grammar.work import Work


@settings(max_examples=300, deadline=None)
@given(schemas_and_values(), st.data())
def test_a_value_that_fits_is_taken(pair: Pair, data: st.DataObject) -> None:
    schema, value = pair
    assert fits(value, schema)
    assert Gbnf(grammar_of(schema)).accepts(data.draw(written(value)))


@settings(max_examples=200, deadline=None)
@given(schemas_and_values(), st.integers(0, 2**32), st.integers(0, 120))
def test_what_is_written_fits(pair: Pair, seed: int, length: int) -> None:
    schema, _ = pair
    matcher = Gbnf(grammar_of(schema))
    text = matcher.sample(random.Random(seed), length)
    assert matcher.accepts(text)
    assert fits(_parsed(text), schema), text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_written_for_a_case_fits(case: Case) -> None:
    rng = random.Random(0)
    matcher = Gbnf(grammar_of(case.schema))
    for length in (0, 5, 20, 60, 100):
        text = matcher.sample(rng, length)
        value = _parsed(text)
        assert '"additionalItems"' in json.dumps(case.schema) or fits(value, case.schema), text


@settings(max_examples=300, deadline=None)
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


@settings(max_examples=300, deadline=None)
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
    matcher = Gbnf(grammar_of({**obj(*required, **dict.fromkeys(names, INT)), "minProperties": low, "maxProperties": high}))
    for chosen in itertools.product((False, True), repeat=len(names)):
        subset = list(itertools.compress(names, chosen))
        complete = required <= set(subset) and low <= len(subset) <= high
        assert matcher.accepts(json.dumps(dict.fromkeys(subset, 1))) == complete
        if len(subset) > 1:
            assert not matcher.accepts(json.dumps(dict.fromkeys(reversed(subset), 1)))


_ATOMS = st.sampled_from(
    ["a", "b", '"', "\\\\", "é", ".", "[ab]", '[^a"]', "[^\\\\]", "\\w", "\\d", "\\W", "[b-é]", "/", "^", "$", "1"]
)


def _patterns() -> st.SearchStrategy[str]:
    return st.recursive(
        _ATOMS,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=4).map("".join)
            | st.lists(inner, min_size=1, max_size=3).map(lambda ways: f"({'|'.join(ways)})")
            | st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"])).map(
                lambda pair: f"(?:{pair[0]}){pair[1]}"
            )
        ),
        max_leaves=6,
    )


@settings(max_examples=300, deadline=None)
@given(_patterns(), st.sampled_from(["", "(?=.*a)", "(?!b|.*é)"]), st.lists(st.text('ab"\\é/1\x00-', max_size=6), max_size=10))
def test_patterns_mean_what_they_mean_in_python(pattern: str, ahead: str, texts: list[str]) -> None:
    # an anchor in a text that is repeated after itself, ^^, is never taken here
    assume(not re.search(r"\^\)?[*+{]|\$\)?[*+{]|\^.*\^|\$.*\$", pattern))
    expressions = Expressions(Work())
    from runtime.grammar.regex import Patterns

    expression = Patterns(expressions).read(ahead + pattern)
    for text in [*texts, "", "a", "b"]:
        assert expressions.matches(expression, text) == bool(re.search(ahead + pattern, text, re.ASCII)), text
