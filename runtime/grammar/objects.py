"""Objects as rules: properties in the order in which they were declared, then others.

One rule says what may follow once the first i properties were written or passed over, with k of them written. So a
schema of n optional properties needs n rules or so, not one for each of the 2**n subsets. k is counted no further
than matters: to 1 for the comma, or as far as `minProperties` and `maxProperties` ask.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Items
from itertools import compress, product

import msgspec

from runtime.grammar.document import as_json
from runtime.grammar.errors import Unsupported
from runtime.grammar.gbnf import Ref, Rules, Sequence, Text
from runtime.grammar.keywords import Reader
from runtime.grammar.names import Names
from runtime.grammar.shapes import Key, ObjectLayer
from runtime.grammar.work import Work

_MAX_PATTERNS = 4
"""Names are told apart by which patterns match them, in 2**n ways."""

_OPTIONAL_SHARE = 16
"""llama.cpp keeps a way of reading for each optional property that may come next, and compares each with each other.

It makes 16 such comparisons in a step of `Work`.
"""

_MAX_STATES = 50_000
"""Properties times counts: each is looked at, if it gets a rule or not."""


class _Member(msgspec.Struct, frozen=True):
    """A declared property, with its name and value as they are written."""

    written: Sequence
    required: bool


class ObjectRules:
    """Writes the objects of one schema; `rule_of` names the rule for a key's values. Methods raise `Unsupported`."""

    def __init__(
        self,
        reader: Reader,
        rules: Rules,
        names: Names,
        work: Work,
        whitespace: Ref,
        rule_of: Callable[[Key, str], str],
    ) -> None:
        self._reader = reader
        self._work = work
        self._rules = rules
        self._names = names
        self._whitespace = whitespace
        self._rule_of = rule_of

    def alternatives(self, layers: Items[ObjectLayer], base: str) -> list[Sequence]:
        """What an object can be that all of `layers` allow."""
        members = self._members(layers)
        if members is None:
            return []
        optional = sum(not member.required for member in members)
        self._work.spend(optional * optional // _OPTIONAL_SHARE)
        low = max((layer.min_properties for layer in layers), default=0)
        high = min((layer.max_properties for layer in layers if layer.max_properties is not None), default=None)
        counted = min(max(low, high or 0, 1), max(len(members), 1))
        if len(members) * counted > _MAX_STATES:
            raise Unsupported("there are too many properties to count them")
        other = self._other(layers, f"{base}-other")
        # what may follow when all members are behind, by how many of them were written
        behind = [self._end(written, low, high, other, base) for written in range(counted + 1)]
        for member in reversed(members):
            linked = [self._linked(alternatives, base) for alternatives in behind]
            now: list[list[Sequence]] = []
            for written in range(counted + 1):
                comma: Sequence = (Text(","), self._whitespace) if written else ()
                ways: list[Sequence] = []
                if high is None or written < high:
                    ways = [(*comma, *member.written, *rest) for rest in linked[min(written + 1, counted)]]
                now.append(ways if member.required else ways + linked[written])
            behind = now
        return [(Text("{"), self._whitespace, *rest) for rest in self._linked(behind[0], base)]

    def _members(self, layers: Items[ObjectLayer]) -> list[_Member] | None:
        """The properties that have a name in some layer; None if one is required whose name is not allowed."""
        required = {name: None for layer in layers for name in layer.required}
        declared = {name: None for layer in layers for name, _ in layer.properties}
        names = declared | required
        self._work.spend(len(names) * len(layers))
        keys = [self._names.keys_of(layer, names) for layer in layers]
        members = []
        for name in names:
            if all(self._names.allowed(name, layer) for layer in layers):
                places = dict.fromkeys(place for keys_here in keys for place in keys_here[name])
                value = Ref(self._rule_of(tuple(places), name))
                text = as_json(name, layers[0].place)
                members.append(_Member((Text(f"{text}:"), self._whitespace, value), name in required))
            elif name in required:
                return None
        return members

    def _end(self, written: int, low: int, high: int | None, other: str | None, base: str) -> list[Sequence]:
        """What may follow the last declared property: others, as many as the counts ask for, and the end."""
        low, high = max(low - written, 0), None if high is None else high - written
        close: Sequence = (self._whitespace, Text("}")) if written else (Text("}"),)
        if other is None or high == 0 or (high is not None and high < low):
            return [close] if low == 0 else []
        next_one = self._rules.rule(f"{base}-next", (Text(","), self._whitespace, Ref(other)))
        if written:
            return [(*self._rules.repeat(next_one, low, high), *close)]
        more = self._rules.repeat(next_one, max(low - 1, 0), None if high is None else high - 1)
        some: Sequence = (Ref(other), *more, self._whitespace, Text("}"))
        return [close, some] if low == 0 else [some]

    def _linked(self, alternatives: list[Sequence], base: str) -> list[Sequence]:
        """The same as at most one sequence: what has a choice gets a rule."""
        return alternatives if len(alternatives) < 2 else [(Ref(self._rules.rule(f"{base}-rest", *alternatives)),)]

    def _other(self, layers: Items[ObjectLayer], base: str) -> str | None:
        """The rule for a property that was not declared, with its name; None if there can be none."""
        patterns = tuple(dict.fromkeys(pattern for layer in layers for pattern, _ in layer.patterns))
        if len(patterns) > _MAX_PATTERNS:
            raise Unsupported(f"more than {_MAX_PATTERNS} patternProperties are not supported")
        is_open = any(layer.additional is not None for layer in layers) or not any(layer.declares for layer in layers)
        known = [name for layer in layers for name in (*layer.required, *(name for name, _ in layer.properties))]
        ways = []
        for matched in product((True, False), repeat=len(patterns)):
            chosen = set(compress(patterns, matched))
            key = _key_of_others(layers, chosen)
            if (chosen or is_open) and self._reader.shapes(key):
                name = self._names.rule(layers, known, dict(zip(patterns, matched, strict=True)), f"{base}-name")
                ways.append((Ref(name), Text(":"), self._whitespace, Ref(self._rule_of(key, base))))
        return self._rules.rule(base, *ways) if ways else None


def _key_of_others(layers: Items[ObjectLayer], patterns: set[str]) -> Key:
    """The key of the properties that were not declared, and whose names just these patterns match."""
    places: dict[str, None] = {}
    for layer in layers:
        keys = [key for pattern, key in layer.patterns if pattern in patterns]
        if not keys and layer.additional is not None:
            keys = [layer.additional]
        places |= dict.fromkeys(place for key in keys for place in key)
    return tuple(places)
