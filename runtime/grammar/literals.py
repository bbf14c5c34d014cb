"""Listed values (enum, const, true, false, null) as rules.

A value is written as `JSON.stringify` would write it; between the parts of arrays and objects there may be whitespace.
"""

from __future__ import annotations

import json
from collections.abc import Sequence as Items
from itertools import groupby
from typing import Any

from runtime.grammar.gbnf import Ref, Rules, Sequence, Text


def literal_rule(values: Items[str], rules: Rules, whitespace: Ref, base: str) -> str:
    """A rule for one of `values`, which are JSON."""
    scalars = sorted({value for value in values if value[0] not in "[{"})
    composites = [json.loads(value) for value in values if value[0] in "[{"]
    name = rules.reserve(base)
    todo = [(name, scalars, 0)]
    for rule, texts, at in todo:
        alternatives: list[Sequence] = []
        for _, group in groupby(texts, key=lambda text: text[at : at + 1]):
            sharing = list(group)
            end = _common_length(sharing[0], sharing[-1])
            if len(sharing) == 1:
                alternatives.append((Text(sharing[0][at:]),))
                continue
            rest = rules.reserve(base)
            todo.append((rest, sharing, end))
            alternatives.append((Text(sharing[0][at:end]), Ref(rest)))
        if rule == name:
            alternatives += [tuple(_composite(value, whitespace)) for value in composites]
        rules.define(rule, alternatives)
    return name


def _common_length(first: str, last: str) -> int:
    """How many characters the texts from `first` to `last` begin with alike, when sorted."""
    for i, (a, b) in enumerate(zip(first, last, strict=False)):
        if a != b:
            return i
    return min(len(first), len(last))


def _composite(value: Any, whitespace: Ref) -> list[Text | Ref]:
    if isinstance(value, list):
        opening, closing = "[", "]"
        members = [_composite(inner, whitespace) for inner in value]
    elif isinstance(value, dict):
        opening, closing = "{", "}"
        members = [
            [Text(f"{_json(name)}:"), whitespace, *_composite(inner, whitespace)] for name, inner in value.items()
        ]
    else:
        return [Text(_json(value))]
    written: list[Text | Ref] = [Text(opening), whitespace]
    for i, member in enumerate(members):
        written += [Text(","), whitespace, *member] if i else member
    return [*written, *([whitespace] if members else []), Text(closing)]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
