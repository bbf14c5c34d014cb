"""Grammars of schemas in llama.cpp itself: it takes them, agrees on texts, and holds the demo model to them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.engine.backend import BatchItem
from runtime.engine.llama.context import Context, Interrupt
from runtime.engine.llama.grammar import Grammar
from runtime.engine.llama.loading import load_model
from runtime.engine.llama.model import LlamaModel
from runtime.engine.settings import ContextSettings, LoadSettings
from runtime.engine.team import Team
from runtime.engine.types import Sampling
from runtime.engine.weights import Weights
from runtime.grammar.json_schema import grammar_of
from support.bundles import DEMO_GGUF
from support.schema_cases import CASES, INT, STR, TREE, Case, obj, typed
from support.schema_check import fits
from support.schema_values import schemas_and_values, written


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaModel]:
    model = load_model(Weights(DEMO_GGUF), LoadSettings(), threading.Event())
    yield model
    model.close()


@pytest.fixture(scope="module")
def context(model: LlamaModel) -> Iterator[Context]:
    settings = ContextSettings(n_ctx=2048, n_slots=1, n_batch=512, n_ubatch=512, n_threads=1)
    context = Context(model, settings, Interrupt(model.lib), Team(1, None))
    yield context
    context.close()


def accepts(model: LlamaModel, grammar: str, text: str) -> bool:
    """Whether llama.cpp lets the tokens of `text` come one after the other, and then the end."""
    matcher = Grammar(model.lib, model.vocabulary, grammar)
    try:
        for token in model.tokenize(text, add_special=False, parse_special=False):
            if not matcher.allows(token):
                return False
            matcher.accept(token)
        return matcher.allows(min(model.vocabulary.ends))
    finally:
        matcher.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_agrees(model: LlamaModel, case: Case) -> None:
    grammar = grammar_of(case.schema)
    assert [text for text in case.accepted if not accepts(model, grammar, text)] == []
    assert [text for text in case.rejected if accepts(model, grammar, text)] == []


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [f"value {i}" for i in range(10_000)]},
        typed("string", minLength=1_500, maxLength=100_000),
        typed("array", items=obj("a", a=STR), minItems=2_001, maxItems=4_999),
        obj(**{f"p{i}": typed("string", maxLength=i) for i in range(200)}),
        obj(**{f"p{i}": {"type": "number", "minimum": i / 7, "maximum": i} for i in range(250)}),
        {**obj(**{f"p{i}": INT for i in range(2_000)}), "additionalProperties": STR},
        typed("string", pattern="^.{3000}$"),
        {"anyOf": [obj("kind", kind={"const": str(i)}, value={"$ref": "#"}) for i in range(300)] + [INT]},
    ],
    ids=["enum", "length", "items", "properties", "numbers", "open", "pattern", "union"],
)
def test_it_takes_large_ones(model: LlamaModel, schema: Any) -> None:
    grammar = grammar_of(schema)
    started = time.process_time()
    Grammar(model.lib, model.vocabulary, grammar).close()
    assert time.process_time() - started < 5


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(schemas_and_values(), st.data())
def test_values_that_fit_are_taken(model: LlamaModel, pair: tuple[Any, Any], data: st.DataObject) -> None:
    schema, value = pair
    assert accepts(model, grammar_of(schema), data.draw(written(value)))


GENERATED = {
    "person": obj("name", "age", "tags", name=typed("string", maxLength=12), age=typed("integer", minimum=0, maximum=9),
                  tags=typed("array", items={"enum": ["red", "green"]}, minItems=1, maxItems=3)),
    "date": obj("when", when=typed("string", format="date-time", maxLength=25)),
    "score": obj("score", score=typed("number", minimum=0, maximum=1), why=typed("string", maxLength=20)),
    "word": typed("string", pattern='^[A-Z][a-z"\\\\é]{2,8}[.!?]$'),
    "choice": {"enum": ["yes", "no", None, 3, {"maybe": [True]}]},
    "union": {"oneOf": [obj("t", "x", t={"const": "a"}, x=typed("integer", multipleOf=5, maximum=999, minimum=-999)),
                        obj("t", "x", t={"const": "b"}, x=typed("string", format="ipv4"))]},
    "map": typed("object", additionalProperties=typed("boolean"), minProperties=2, maxProperties=3,
                 propertyNames={"pattern": "^[a-z]{1,6}$"}),
    "tree": {**TREE, "$defs": {"node": obj("value", value=typed("integer", minimum=0, maximum=9),
                               children=typed("array", items={"$ref": "#/$defs/node"}, maxItems=1))}},
    "matrix": typed("array", minItems=2, maxItems=2,
                    items=typed("array", items=typed("integer", maximum=9, minimum=-9), minItems=2, maxItems=2)),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("schema", GENERATED.values(), ids=GENERATED)
def test_what_the_model_writes_fits(model: LlamaModel, context: Context, schema: Any, seed: int) -> None:
    """Hot, so that the grammar has to say no often."""
    prompt = model.tokenize("Write some JSON:\n", add_special=False, parse_special=False)
    sampling = Sampling(seed=seed, temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, grammar=grammar_of(schema))
    sampler = context.new_sampler(sampling, prompt)
    context.keep_prefix(0, 0)
    written_tokens: list[int] = []
    position, tokens = 0, prompt
    while position < context.n_ctx - len(prompt):
        outputs = context.decode([BatchItem(slot=0, position=position, tokens=tokens, outputs=1)], ())
        position += len(tokens)
        tokens = (sampler.sample(outputs[0]).token,)
        if model.ends_generation(tokens[0]):
            break
        written_tokens += tokens
    sampler.close()
    text = b"".join(map(model.piece, written_tokens)).decode()
    assert model.ends_generation(tokens[0]), text
    assert fits(json.loads(text), schema), text
