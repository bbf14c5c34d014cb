"""Values as rules: which rule a place has, and which values are still to be written.

A place gets its rule's name at once; arrays and objects get their rules later. So a schema that refers to itself
needs no recursion.
"""

from __future__ import annotations

from runtime.grammar.arrays import array_alternatives
from runtime.grammar.derivatives import Derivatives
from runtime.grammar.document import Document
from runtime.grammar.errors import SchemaUnsupported, Unsupported
from runtime.grammar.expressions import Expressions
from runtime.grammar.gbnf import Chars, Ref, Repeat, Rules, Text
from runtime.grammar.keywords import ANYTHING, BOOLEAN, NULL, Reader
from runtime.grammar.literals import literal_rule
from runtime.grammar.names import Names
from runtime.grammar.numerals import number_rule
from runtime.grammar.objects import ObjectRules
from runtime.grammar.regex import Patterns
from runtime.grammar.shapes import Arrays, Key, Literals, Numbers, Objects, Shape, Strings
from runtime.grammar.strings import StringRules
from runtime.grammar.work import Work

_MAX_INDENT = 32


class Values:
    """The rules for the values of one schema. Methods raise `SchemaUnsupported`."""

    def __init__(self, document: Document, rules: Rules, work: Work) -> None:
        expressions = Expressions(work)
        derivatives = Derivatives(expressions, work)
        patterns = Patterns(expressions, derivatives, work)
        self._reader = Reader(document, patterns, work)
        self._rules = rules
        self._work = work
        self._strings = StringRules(rules, expressions, derivatives, patterns)
        self._named: dict[Shape, str] = {}
        self._unwritten: list[tuple[str, Arrays | Objects, str]] = []
        indent = rules.rule("indent", (Chars(((0x09, 0x09), (0x20, 0x20))),))
        line = (Text("\n"), Repeat(indent, 0, _MAX_INDENT))
        self._whitespace = Ref(rules.rule("ws", (), (Text(" "),), line))
        names = Names(self._reader, expressions, patterns, self._strings)
        self._objects = ObjectRules(self._reader, rules, names, work, self._whitespace, self.rule)

    def rule(self, key: Key, base: str) -> str:
        """The rule for a value of which all places of `key` hold, with a name like `base` if it is new."""
        place = key[0] if key else ""
        try:
            shapes = self._reader.shapes(key)
            self._work.spend(len(shapes))
            names = [self._shape_rule(shape, base, place) for shape in shapes]
        except Unsupported as error:
            raise SchemaUnsupported(place, str(error)) from error
        if len(names) == 1:
            return names[0]
        name = "nothing" if not shapes else "value" if shapes == ANYTHING else base
        return self._rules.rule(name, *((Ref(name),) for name in names))

    def write(self) -> None:
        """Write the rules of all arrays and objects that were met, and of those in them."""
        while self._unwritten:
            name, shape, place = self._unwritten.pop()
            try:
                if isinstance(shape, Objects):
                    alternatives = self._objects.alternatives(shape.layers, name)
                else:
                    alternatives = array_alternatives(shape.layers, name, self._rules, self._whitespace, self.rule)
                self._rules.define(name, alternatives)
            except Unsupported as error:
                raise SchemaUnsupported(place, str(error)) from error

    def _shape_rule(self, shape: Shape, base: str, place: str) -> str:
        if shape not in self._named:
            self._named[shape] = self._new_rule(shape, base, place)
        return self._named[shape]

    def _new_rule(self, shape: Shape, base: str, place: str) -> str:
        if isinstance(shape, Literals):
            base = "boolean" if shape == BOOLEAN else "null" if shape == NULL else base
            return literal_rule(shape.values, self._rules, self._whitespace, base)
        if isinstance(shape, Numbers):
            return number_rule(shape.layers, self._rules, self._work, base)
        if isinstance(shape, Strings):
            return self._strings.rule(shape.layers, base)
        name = self._rules.reserve(base if shape.layers else "array" if isinstance(shape, Arrays) else "object")
        self._unwritten.append((name, shape, place))
        return name
