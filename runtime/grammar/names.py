"""The names that properties of an object may have, by `propertyNames`, `patternProperties` and what was declared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Items

from runtime.grammar.expressions import Expressions
from runtime.grammar.keywords import Reader
from runtime.grammar.regex import Patterns
from runtime.grammar.shapes import Key, Literals, ObjectLayer, Strings
from runtime.grammar.strings import StringRules


class Names:
    """Names in the objects of one schema. Methods raise `SchemaUnsupported` and `Unsupported`."""

    def __init__(self, reader: Reader, expressions: Expressions, patterns: Patterns, strings: StringRules) -> None:
        self._reader = reader
        self._expressions = expressions
        self._patterns = patterns
        self._strings = strings

    def allowed(self, name: str, layer: ObjectLayer) -> bool:
        """Whether `propertyNames` allows this one."""
        return self._reader.fitting.fits_key(name, layer.names)

    def keys_of(self, layer: ObjectLayer, names: Iterable[str]) -> dict[str, Key]:
        """The keys of these properties' values, as far as `layer` goes."""
        known = dict(layer.properties)
        return {name: self._reader.fitting.key_of(name, layer, known) for name in names}

    def rule(self, layers: Items[ObjectLayer], known: Iterable[str], matched: Mapping[str, bool], base: str) -> str:
        """A rule for a name, in quotes, that is none of `known`, and that each pattern matches or not, as said."""
        e = self._expressions
        says = [self._says(layer.names) for layer in layers if layer.names]
        for pattern, does_match in matched.items():
            expression = self._patterns.read(pattern)
            says.append(expression if does_match else e.negate(expression))
        if known := set(known):
            says.append(e.negate(e.texts(known)))
        return self._strings.rule_of_text(e.both(*says), base)

    def _says(self, key: Key) -> int:
        """The texts that the schemas of `key` allow."""
        e = self._expressions
        ways = []
        for shape in self._reader.shapes(key):
            if isinstance(shape, Strings):
                ways.append(self._strings.expression(shape.layers))
            elif isinstance(shape, Literals):
                values = (json.loads(value) for value in shape.values)
                ways.append(e.texts(value for value in values if isinstance(value, str)))
        return e.either(*ways)
