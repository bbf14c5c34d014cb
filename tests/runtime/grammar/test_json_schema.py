"""JSON schemas into grammars: what they take and leave, what is refused, and what is never taken too far."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from runtime.grammar.errors import SchemaUnsupported
from runtime.grammar.json_schema import any_object_grammar, grammar_of
from support.gbnf import Gbnf
from support.schema_cases import CASES, INT, STR, Case, obj, typed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    grammar = Gbnf(grammar_of(case.schema))
    assert [text for text in case.accepted if not grammar.accepts(text)] == []
    assert [text for text in case.rejected if grammar.accepts(text)] == []


def test_any_object() -> None:
    grammar = Gbnf(any_object_grammar())
    assert grammar.accepts('{"a": [1, null]}')
    assert not grammar.accepts("[]")


def test_the_same_schema_gives_the_same_grammar() -> None:
    for case in CASES:
        assert grammar_of(case.schema) == grammar_of(case.schema)


@pytest.mark.parametrize(
    ("schema", "path", "reason"),
    [
        ({"$ref": "#"}, "", "refers to itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
         "/$defs/a", "refers to itself"),
        ({"anyOf": [INT, {"$ref": "#"}]}, "", "refers to itself"),
        ({"$ref": "https://example.org/schema"}, "/$ref", "references into the schema"),
        ({"$ref": "other.json#/a"}, "/$ref", "references into the schema"),
        ({"$ref": "#anchor"}, "/$ref", "references into the schema"),
        ({"$ref": "#/$defs/none"}, "/$ref", "leads to nothing"),
        ({"allOf": [INT], "$ref": "#/allOf/1"}, "/$ref", "leads to nothing"),
        ({"$ref": 1}, "/$ref", "string"),
        ({"properties": {"a/b": {"type": "float"}}}, "/properties/a~1b/type", "no type 'float'"),
        (obj("a", a=obj("a", a={"$ref": "#"})), "", "no value"),
        ({"allOf": [INT, STR]}, "", "no value"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "", "no value"),
        ({"type": "integer", "minimum": 10**60}, "", "no value"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "", "no value"),
        ({"type": "string", "pattern": "^ab$", "minLength": 3}, "", "no value"),
        ({"type": "array", "items": INT, "minItems": 3, "maxItems": 2}, "", "no value"),
        ({"type": "array", "items": False, "minItems": 1}, "", "no value"),
        ({"type": "array", "prefixItems": [INT, STR], "minItems": 3}, "", "no value"),
        ({"type": "array", "prefixItems": [INT, STR, INT], "minItems": 2, "maxItems": 1}, "", "no value"),
        ({"type": "object", "properties": {}, "minProperties": 1}, "", "no value"),
        ({"type": "object", "required": ["a"], "propertyNames": {"maxLength": 0}}, "", "no value"),
        ({"type": "object", "required": ["a", "b"], "maxProperties": 1}, "", "no value"),
        ({"enum": ["a"], "type": "integer"}, "", "no value"),
        (False, "", "no value"),
        ({"not": {"type": "null"}}, "/not", "is not"),
        (obj(a={"if": INT, "then": {"minimum": 1}}), "/properties/a/then", "conditions"),
        ({"type": "array", "contains": INT}, "/contains", "contain"),
        ({"type": "object", "dependentRequired": {"a": ["b"]}}, "/dependentRequired", "depends"),
        ({"type": "object", "dependencies": {"a": ["b"]}}, "/dependencies", "depends"),
        ({"type": "object", "dependentSchemas": {"a": INT}}, "/dependentSchemas", "depends"),
        ({"type": "object", "unevaluatedProperties": INT}, "/unevaluatedProperties", "true and false"),
        ({"$dynamicRef": "#node"}, "/$dynamicRef", "$ref"),
        ({"type": "object", "patternProperties": dict.fromkeys("abcde", INT)}, "", "patternProperties"),
        (typed("string", pattern="(a)\\1"), "/pattern", "\\1"),
        (typed("string", pattern="\\bword\\b"), "/pattern", "\\b"),
        (typed("string", pattern="(?<=a)b"), "/pattern", "group"),
        (typed("string", pattern="(?i)a"), "/pattern", "group"),
        (typed("string", pattern="\\p{L}"), "/pattern", "\\p"),
        (typed("string", pattern="(a(?=b))*"), "/pattern", "ahead"),
        (typed("string", pattern="a{3,2}"), "/pattern", "ends before it begins"),
        (typed("string", pattern="[z-a]"), "/pattern", "ends before it begins"),
        (typed("string", pattern="a**"), "/pattern", "repeat"),
        (typed("string", pattern="*"), "/pattern", "repeat"),
        (typed("string", pattern="^*"), "/pattern", "repeat"),
        (typed("string", pattern="(a"), "/pattern", "("),
        (typed("string", pattern="a)"), "/pattern", ")"),
        (typed("string", pattern="[a"), "/pattern", "ends"),
        (typed("string", pattern="a\\"), "/pattern", "ends"),
        (typed("string", pattern="\\u12"), "/pattern", "hexadecimal"),
        (typed("string", pattern="\\ud83d"), "/pattern", "surrogate"),
        (typed("string", pattern=3), "/pattern", "string"),
        (typed("string", minLength=-1), "/minLength", "0 or more"),
        (typed("string", minLength="1"), "/minLength", "number"),
        (typed("string", maxLength=1.5), "/maxLength", "0 or more"),
        (typed("integer", minimum="1"), "/minimum", "number"),
        (typed("integer", multipleOf=0), "/multipleOf", "greater than 0"),
        (typed("array", minItems=10**9), "/minItems", "1,000,000"),
        ({"properties": [1]}, "/properties", "object"),
        ({"properties": {"a": 1}}, "/properties/a", "schema"),
        ({"required": True}, "/required", "strings"),
        ({"required": [1]}, "/required", "strings"),
        ({"enum": []}, "/enum", "values"),
        ({"enum": 1}, "/enum", "values"),
        ({"anyOf": []}, "/anyOf", "schemas"),
        ({"allOf": {}}, "/allOf", "schemas"),
        ({"const": "\ud800"}, "/const", "surrogate"),
        ({"type": None}, "/type", "no type"),
        ("string", "", "schema"),
        (None, "", "schema"),
        ([], "", "schema"),
        ({"const": float("nan")}, "", "not JSON"),
        ({"const": {1: 2}}, "", "not JSON"),
        ({"const": json.loads("[" * 70 + "]" * 70)}, "", "within each other"),
        ({"const": (1, 2)}, "", "not JSON"),
        ({"minimum": 10**5000}, "", "not JSON"),
    ],
)  # fmt: skip
def test_refused(schema: Any, path: str, reason: str) -> None:
    with pytest.raises(SchemaUnsupported) as caught:
        grammar_of(schema)
    assert caught.value.path == path
    assert reason in caught.value.reason
    assert caught.value.hint
    if path:
        assert path in caught.value.message


def nested(depth: int, keyword: str) -> Any:
    schema: Any = INT
    for _ in range(depth):
        schema = {keyword: [schema]} if keyword.endswith("Of") else {"type": "array", keyword: schema}
    return schema


DOUBLING = {"$defs": {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(100)} | {"d100": INT}}
EITHER = [{"anyOf": [{"pattern": f"a{i}"}, {"pattern": f"b{i}"}]} for i in range(30)]

GROUPS = "(" * 24 + "a" + ")" * 24

LARGE = {
    "everything that recurses": {
        "$defs": {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(29)}
        | {"d29": typed(["array", "string"], pattern=GROUPS, items={"$ref": "#/$defs/d29"})},
        "$ref": "#/$defs/d0",
        "const": json.loads("[" * 55 + '"a"' + "]" * 55),
    },
    "a long pattern": typed("string", pattern="a" * 100_000),
    "a pattern with many choices": typed("string", pattern="|".join(f"a{i}" for i in range(20_000))),
    "optional properties": obj(**{f"p{i}": INT for i in range(5_000)}),
    "a union of itself": {"anyOf": [obj(f"k{i}", **{f"k{i}": {"$ref": "#"}}) for i in range(1_000)] + [INT]},
    "deep": nested(100_000, "items"),
    "deep combinations": nested(31, "allOf"),
    "references that double": {**DOUBLING, "$ref": "#/$defs/d0"},
    "combinations that double": typed("string", allOf=EITHER),
    "an enum": {"enum": [f"value {i}" for i in range(60_000)]},
    "an enum again and again": {"$defs": {"e": {"enum": list(range(9_000))}}, "allOf": [{"$ref": "#/$defs/e"}] * 1_000},
    "values": {"description": [0] * 300_000},
    "bounded numbers": obj(**{f"n{i}": typed("number", minimum=i, maximum=2 * i + 0.5) for i in range(5_000)}),
    "counted properties": {**obj(**{f"p{i}": INT for i in range(3_000)}), "minProperties": 1_000},
    "layers": typed("object", allOf=[{"required": [f"r{i}"]} for i in range(20_000)]),
    "a regular language with many states": typed("string", pattern="^(a|b)*a(a|b){30}$"),
    "nested counts": typed("string", pattern="^(((a{1,1000}){1,1000}){1,1000})$"),
    "counts of counts": typed("string", pattern="^(a{1,100}b?){1,100}$"),
    "a count of a billion": typed("string", pattern="^a{1000000000}$"),
    "classes": typed("string", pattern=f"^({'|'.join(f'[{c}-z]*{c}' for c in 'abcdefghijklm')})+$", maxLength=5_000),
    "groups in groups": typed("string", pattern="(" * 100_000),
    "negations": typed("string", pattern="^" + "".join(f"(?!.*{a}{b})" for a in "abcde" for b in "abcde") + ".*$"),
    "multiples": typed("integer", multipleOf=999_983),
}  # fmt: skip


@pytest.mark.parametrize("schema", LARGE.values(), ids=LARGE)
def test_it_ends_whatever_the_schema(schema: Any) -> None:
    """With a grammar or a refusal, and soon: the limit counts steps, so ten seconds are far from it."""
    started = time.process_time()
    try:
        grammar = grammar_of(schema)
    except SchemaUnsupported:
        grammar = ""
    assert len(grammar) < 3_000_000
    assert time.process_time() - started < 10


@pytest.mark.parametrize("limit", [1_000, 1_001, 2_500, 1_000_000, 10**9])
def test_large_counts(limit: int) -> None:
    """Exact up to a million; a higher limit is none, for no context holds so much."""
    grammar = grammar_of(typed("string", maxLength=limit))
    assert len(grammar) < 2_000
    matcher = Gbnf(grammar)
    assert matcher.accepts(f'"{"a" * 999}"')
    if limit < 10_000:
        assert matcher.accepts(f'"{"a" * limit}"')
        assert not matcher.accepts(f'"{"a" * (limit + 1)}"')
        assert matcher.most_ways <= 8


@pytest.mark.parametrize(("low", "high"), [(1_500, 1_500), (999, 2_001), (2_000, 2_000)])
def test_large_counts_of_elements(low: int, high: int) -> None:
    matcher = Gbnf(grammar_of(typed("array", items={"const": 1}, minItems=low, maxItems=high)))
    for count in (low - 1, low, high, high + 1):
        assert matcher.accepts(f"[{','.join('1' * count)}]") == (low <= count <= high)


def test_there_are_few_ways_to_read_a_text() -> None:
    """Each of them costs time with every token."""
    text = '{"name": "a \\"b\\" \\u00e9", "tags": ["x", "y"], "score": 0.75}'
    schema = obj(
        "name",
        name=STR,
        tags=typed("array", items=typed("string", pattern="^.*x?.*y?.*$")),
        score=typed("number", minimum=0),
    )
    matcher = Gbnf(grammar_of(schema))
    assert matcher.accepts(text)
    assert matcher.most_ways <= 12


def test_an_object_of_many_optional_properties_stays_small() -> None:
    grammar = grammar_of(obj(**{f"p{i}": INT for i in range(1_000)}))
    assert len(grammar) < 200_000
    assert Gbnf(grammar).accepts('{"p1": 1, "p500": 2, "p999": 3}')


def test_rules_cannot_be_taken_for_others() -> None:
    """Names of properties become names of rules."""
    names = [
        "root",
        "ws",
        "char",
        "string",
        "value",
        "Value",
        "a b",
        "a_b",
        "é",
        "",
        "-",
        "x" * 300,
        "x" * 301,
        "answer",
    ]
    grammar = Gbnf(grammar_of(obj(*names, **{name: {"const": i} for i, name in enumerate(names)})))
    members = ",".join(f'"{name}":{i}' for i, name in enumerate(names))
    assert grammar.accepts(f"{{{members}}}")
    assert not grammar.accepts(f"{{{members.replace(':3', ':4')}}}")
