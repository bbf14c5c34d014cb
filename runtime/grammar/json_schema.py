"""A JSON schema as a grammar: what a model writes under it is JSON, and fits the schema.

Followed: `type` (and lists of them), `enum`, `const`, `properties`, `required`, `additionalProperties`,
`patternProperties`, `propertyNames`, `minProperties`, `maxProperties`, `items`, `prefixItems`, `additionalItems`,
`minItems`, `maxItems`, `minLength`, `maxLength`, `pattern`, `format`, `minimum`, `maximum`, `exclusiveMinimum`,
`exclusiveMaximum`, `multipleOf`, `anyOf`, `oneOf`, `allOf`, `$ref` within the schema, `unevaluatedProperties` and
`unevaluatedItems` (true or false), `nullable`, and the schemas `true` and `false`. They combine as JSON Schema says.

Everything that fits the grammar fits the schema, but for three things that a grammar cannot see. `uniqueItems` is not
followed: nobody does, and refusing it would refuse every schema of a set. `oneOf` is read as `anyOf`. And a name that
was not declared may come twice in an object: parsers take the last, while `minProperties` counted both.

The other way round, the grammar leaves out what a model had better not write:

- Properties come in the order in which they were declared; others behind them.
- Where `properties` are listed, there are no others unless `additionalProperties` allows them. JSON Schema would allow
  any; OpenAI's API wants it said to be false, and llama.cpp takes it so: a model that may invent properties does. In
  the same way, elements behind those of `prefixItems` need `items`.
- A schema without `type` that says something of objects (arrays, strings, numbers) is one of objects (…) only.
- Between the parts of arrays and objects there may be a space, or a line break with up to 32 characters of
  indentation, or nothing: a model cannot get lost in whitespace. None comes before `:`, none at either end.
- Numbers without a bound have 16 digits at most. A number is written in one way, without `-0`.

What constrains and cannot be followed is refused: `not`, `if`, `contains`, `dependentRequired` and its kin, references
to elsewhere, patterns beyond `regex.py`; and what would take longer than about a second. Other keywords, known or not,
constrain nothing and are ignored.
"""

from __future__ import annotations

from runtime.grammar.document import Document
from runtime.grammar.errors import SchemaUnsupported
from runtime.grammar.gbnf import Ref, Rules
from runtime.grammar.values import Values
from runtime.grammar.work import Work


def grammar_of(schema: object) -> str:
    """The grammar, in GBNF, of the JSON that fits `schema`, which is parsed JSON. Raises `SchemaUnsupported`.

    The same schema, with the same order of names, always gives the same grammar.
    """
    work = Work()
    rules = Rules(work)
    root = rules.reserve("root")
    rules.define(root, [(Ref(schema_rule(schema, rules, work, "answer")),)])
    grammar = rules.write(root)
    if not grammar:
        raise SchemaUnsupported("", "no value fits it", "Look for parts that contradict each other.")
    return grammar


def schema_rule(schema: object, rules: Rules, work: Work, base: str, place: str = "") -> str:
    """The rule, among others in a grammar, of the JSON that fits `schema`; its name is like `base`.

    `place` is a JSON pointer to the part of `schema` that is meant. Nothing fits the rule where the schema contradicts
    itself. Raises `SchemaUnsupported`.
    """
    values = Values(Document(schema), rules, work)
    rule = values.rule((place,), base)
    values.write()
    return rule


def any_object_grammar() -> str:
    """The grammar of any JSON object."""
    return grammar_of({"type": "object"})
