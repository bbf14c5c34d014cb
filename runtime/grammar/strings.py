"""Strings as rules: their lengths, patterns and formats, and how their characters are written in JSON.

What nothing is said of but its length is written in any way that JSON allows. Where a pattern says which characters
may come, each is written the way `JSON.stringify` does it, so that a model that has begun an escape finds one that
fits; other escapes are allowed where some character needs them anyway.
"""

from __future__ import annotations

from collections.abc import Sequence as Items

from runtime.grammar import charset
from runtime.grammar.automaton import rule_of
from runtime.grammar.charset import Ranges
from runtime.grammar.derivatives import Derivatives
from runtime.grammar.errors import SchemaUnsupported, Unsupported
from runtime.grammar.expressions import Expressions
from runtime.grammar.gbnf import Chars, Ref, Rules, Sequence, Text
from runtime.grammar.regex import Patterns
from runtime.grammar.shapes import StringLayer

_QUOTE = Text('"')
_SHORT = {'"': '"', "\\": "\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
"""Escapes of two characters (RFC 8259, section 7); `/` has one too, but needs none."""

_SHORT_CHARS = charset.of("".join(_SHORT))
_BARE = charset.difference(charset.UNICODE, charset.of(("\0", "\x1f"), '"\\'))
_HEX_DIGITS = "0123456789abcdef"
_ASTRAL = ((0x10000, 0x10FFFF),)


class StringRules:
    """Rules for the strings of one grammar."""

    def __init__(self, rules: Rules, expressions: Expressions, derivatives: Derivatives, patterns: Patterns) -> None:
        self._rules = rules
        self._expressions = expressions
        self._derivatives = derivatives
        self._patterns = patterns
        self._written: dict[Ranges, Sequence] = {}
        self._named: dict[int, str] = {}

    def rule(self, layers: Items[StringLayer], base: str) -> str:
        """A rule for a string, in quotes, that all of `layers` allow. Raises `SchemaUnsupported`."""
        if any(layer.pattern is not None for layer in layers):
            return self.rule_of_text(self.expression(layers), base)
        low, high = _lengths(layers)
        name = "string" if (low, high) == (0, None) else base
        if high is not None and high < low:
            return self._rules.rule(name)
        return self._rules.rule(name, (_QUOTE, *self._rules.repeat(self._any_char(), low, high), _QUOTE))

    def rule_of_text(self, expression: int, base: str) -> str:
        """A rule for a string, in quotes, that is one of `expression`."""
        if expression == self._expressions.anything:
            return self._rules.rule("string", (_QUOTE, *self._rules.repeat(self._any_char(), 0, None), _QUOTE))
        if expression not in self._named:
            inside = rule_of(self._derivatives.automaton(expression), self._rules, base, self._char, (_QUOTE,))
            self._named[expression] = self._rules.rule(f"{base}-string", (_QUOTE, Ref(inside)))
        return self._named[expression]

    def expression(self, layers: Items[StringLayer]) -> int:
        """The texts that all of `layers` allow. Raises `SchemaUnsupported`."""
        e = self._expressions
        found = []
        for layer in layers:
            if layer.pattern is not None:
                try:
                    found.append(self._patterns.read(layer.pattern))
                except Unsupported as error:
                    raise SchemaUnsupported(layer.place, str(error)) from error
        low, high = _lengths(layers)
        if (low, high) != (0, None):
            length = e.nothing if high is not None and high < low else e.repeat(e.chars(charset.UNICODE), low, high)
            found.append(length)
        return e.both(*found)

    def _any_char(self) -> str:
        return self._rules.rule("char", *self._ways_to_write(charset.UNICODE))

    def _char(self, ranges: Ranges) -> Sequence:
        """How one of these characters is written."""
        if ranges not in self._written:
            ways = self._ways_to_write(ranges)
            self._written[ranges] = ways[0] if len(ways) == 1 else (Ref(self._rules.rule("char", *ways)),)
        return self._written[ranges]

    def _ways_to_write(self, ranges: Ranges) -> list[Sequence]:
        bare = charset.intersection(ranges, _BARE)
        ways: list[Sequence] = [(_one_of(bare),)] if bare else []
        escaped = charset.difference(ranges, _BARE)
        if not escaped:
            return ways
        escapes: list[Sequence] = []
        short = "".join(letter for char, letter in _SHORT.items() if charset.contains(ranges, ord(char)))
        if short:
            escapes.append((_one_of(charset.of(short, "/" if charset.contains(ranges, ord("/")) else "")),))
        if charset.difference(escaped, _SHORT_CHARS):
            escapes.append((Text("u"), Ref(self._rules.rule("code", *_codes(ranges)))))
        # behind one backslash: so a character is read in two ways at most
        rest = escapes[0] if len(escapes) == 1 else (Ref(self._rules.rule("escape", *escapes)),)
        return [*ways, (Text("\\"), *rest)]


def _lengths(layers: Items[StringLayer]) -> tuple[int, int | None]:
    highs = [layer.max_length for layer in layers if layer.max_length is not None]
    return max((layer.min_length for layer in layers), default=0), min(highs, default=None)


def _codes(ranges: Ranges) -> list[Sequence]:
    """How the characters are written behind `\\u`: four hexadecimal digits, and four more for those beyond U+FFFF.

    Those are left out unless all of them are allowed.
    """
    basic = charset.intersection(ranges, ((0, 0xFFFF),))
    codes: list[Sequence] = [digits for low, high in basic for digits in _hexadecimal(low, high, 4)]
    if charset.intersection(ranges, _ASTRAL) == _ASTRAL:
        any_two = (_digits(_HEX_DIGITS), _digits(_HEX_DIGITS))
        codes.append((_digits("d"), _digits("89ab"), *any_two, Text("\\u"), _digits("d"), _digits("cdef"), *any_two))
    return codes


def _hexadecimal(low: int, high: int, width: int) -> list[Sequence]:
    """The numbers from `low` to `high` with `width` hexadecimal digits."""
    if width == 0:
        return [()]
    size = 16 ** (width - 1)
    first, last = low // size, high // size
    if low % size == 0 and high % size == size - 1:
        return [(_digits(_HEX_DIGITS[first : last + 1]), *[_digits(_HEX_DIGITS)] * (width - 1))]
    if first == last:
        return [(_digits(_HEX_DIGITS[first]), *rest) for rest in _hexadecimal(low % size, high % size, width - 1)]
    end_of_first, start_of_last = (first + 1) * size - 1, last * size
    found = _hexadecimal(low, end_of_first, width)
    if end_of_first + 1 < start_of_last:
        found += _hexadecimal(end_of_first + 1, start_of_last - 1, width)
    return found + _hexadecimal(start_of_last, high, width)


def _digits(digits: str) -> Text | Chars:
    return _one_of(charset.of(digits, digits.upper()))


def _one_of(ranges: Ranges) -> Text | Chars:
    only = charset.only_member(ranges)
    return Text(chr(only)) if only is not None else Chars(ranges)
