"""Regular expressions as `pattern` has them (ECMA-262 with the `u` flag), read into expressions.

As JSON Schema says, a pattern may match anywhere: `b` allows "abc", `^b$` just "b". What can be said of a whole text
by an automaton is supported: classes, groups, alternatives, counts, anchors, and looking ahead outside of groups.
Lazy counts allow the same texts as greedy ones. Backreferences, looking behind, word boundaries, Unicode properties
and flags raise `Unsupported` with the reason. What only Python's patterns have is read as it is meant there: `\\A` and
`\\Z` for the ends, `{,2}` for at most two.
"""

from __future__ import annotations

from runtime.grammar import charset
from runtime.grammar.charset import Ranges
from runtime.grammar.derivatives import Derivatives
from runtime.grammar.errors import Unsupported
from runtime.grammar.expressions import Expressions
from runtime.grammar.work import Work

_MAX_DEPTH = 24
"""Groups within groups: they are followed by recursion."""

_DIGIT = charset.of(("0", "9"))
_WORD = charset.of(("a", "z"), ("A", "Z"), ("0", "9"), "_")
_SPACE = charset.of(("\t", "\r"), " \u00a0\u1680", ("\u2000", "\u200a"), "\u2028\u2029\u202f\u205f\u3000\ufeff")
_LINE_END = charset.of("\n\r\u2028\u2029")
_CLASSES = {
    "d": _DIGIT,
    "D": charset.difference(charset.UNICODE, _DIGIT),
    "w": _WORD,
    "W": charset.difference(charset.UNICODE, _WORD),
    "s": _SPACE,
    "S": charset.difference(charset.UNICODE, _SPACE),
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_HEX = "0123456789abcdefABCDEF"


class Patterns:
    """The patterns of one schema, each read once."""

    def __init__(self, expressions: Expressions, derivatives: Derivatives, work: Work) -> None:
        self._expressions = expressions
        self._derivatives = derivatives
        self._work = work
        self._known: dict[str, int] = {}

    def read(self, pattern: str) -> int:
        """The texts that `pattern` matches. Raises `Unsupported`."""
        if pattern not in self._known:
            self._work.spend(len(pattern))
            self._known[pattern] = _Reader(pattern, self._expressions).read()
        return self._known[pattern]

    def matches(self, pattern: str, text: str) -> bool:
        """Whether `pattern` matches `text`. Raises `Unsupported`."""
        return self._derivatives.matches(self.read(pattern), text)


class _Reader:
    def __init__(self, pattern: str, expressions: Expressions) -> None:
        self._pattern = pattern
        self._expressions = expressions
        self._at = 0
        self._depth = 0

    def read(self) -> int:
        found = self._alternatives()
        if self._at < len(self._pattern):
            raise self._wrong("a ) without its (")
        return found

    def _alternatives(self) -> int:
        ways = [self._sequence()]
        while self._skip("|"):
            ways.append(self._sequence())
        return self._expressions.either(*ways)

    def _sequence(self) -> int:
        """One alternative; outside of groups with everything that may come before and behind it."""
        e = self._expressions
        parts: list[tuple[str, int]] = []
        while self._at < len(self._pattern) and self._peek() not in "|)":
            parts.append(self._assertion() or ("", self._counted(self._atom())))
        result = e.empty if self._depth else e.anything
        for assertion, part in reversed(parts):
            if assertion:
                ahead = e.concat(part, e.anything)
                result = e.both(ahead if assertion == "(?=" else e.negate(ahead), result)
            else:
                result = e.concat(part, result)
        return result if self._depth else e.concat(e.anything, result)

    def _assertion(self) -> tuple[str, int] | None:
        e = self._expressions
        for anchor, part in (("^", e.begin), ("\\A", e.begin), ("$", e.end), ("\\Z", e.end)):
            if self._skip(anchor):
                return self._not_counted("", part)
        for opening in ("(?=", "(?!"):
            if self._skip(opening):
                if self._depth:
                    raise self._wrong("looking ahead inside a group")
                return self._not_counted(opening, self._group())
        return None

    def _not_counted(self, assertion: str, part: int) -> tuple[str, int]:
        if self._peek() in ("*", "+", "?"):
            raise self._wrong("nothing to repeat")
        return assertion, part

    def _atom(self) -> int:
        char = self._next()
        if char == ".":
            return self._expressions.chars(charset.difference(charset.UNICODE, _LINE_END))
        if char == "[":
            return self._expressions.chars(self._class())
        if char == "(":
            return self._opened()
        if char == "\\":
            return self._expressions.chars(self._escape())
        if char in "*+?":
            raise self._wrong("nothing to repeat")
        return self._expressions.text(char)

    def _opened(self) -> int:
        if self._skip("?"):
            if self._skip("P<") or (self._peek() == "<" and not self._pattern.startswith(("<=", "<!"), self._at)):
                end = self._pattern.find(">", self._at)
                self._at = len(self._pattern) if end < 0 else end + 1
            elif not self._skip(":"):
                raise self._wrong("this kind of group")
        return self._group()

    def _group(self) -> int:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._wrong(f"more than {_MAX_DEPTH} groups within each other")
        found = self._alternatives()
        if not self._skip(")"):
            raise self._wrong("a ( without its )")
        self._depth -= 1
        return found

    def _counted(self, part: int) -> int:
        counts = self._counts()
        if counts is None:
            return part
        self._skip("?")
        if self._counts() is not None:
            raise self._wrong("nothing to repeat")
        low, high = counts
        if high is not None and low > high:
            raise self._wrong("a count that ends before it begins")
        return self._expressions.repeat(part, low, high)

    def _counts(self) -> tuple[int, int | None] | None:
        for sign, low, high in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._skip(sign):
                return low, high
        end = self._pattern.find("}", self._at)
        if self._peek() != "{" or end < 0:
            return None
        first, comma, last = self._pattern[self._at + 1 : end].partition(",")
        if not (first or last) or not all(_is_count(count) for count in (first, last) if count):
            return None
        self._at = end + 1
        low = _count(first) if first else 0
        return low, _count(last) if last else None if comma else low

    def _class(self) -> Ranges:
        negated = self._skip("^")
        sets: list[Ranges] = []
        while not self._skip("]"):
            first = self._class_member()
            if self._peek() != "-" or self._pattern.startswith("-]", self._at):
                sets.append(first)
                continue
            self._at += 1
            last = self._class_member()
            low, high = charset.only_member(first), charset.only_member(last)
            if low is None or high is None:
                sets += [first, last, charset.of("-")]
            elif low > high:
                raise self._wrong("a range that ends before it begins")
            else:
                sets.append(charset.intersection(charset.UNICODE, ((low, high),)))
        found = charset.union(*sets)
        return charset.difference(charset.UNICODE, found) if negated else found

    def _class_member(self) -> Ranges:
        char = self._next()
        if char != "\\":
            return charset.of(char)
        return charset.of("\b") if self._skip("b") else self._escape()

    def _escape(self) -> Ranges:
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            return charset.of(_CONTROLS[char])
        if char == "0" and self._peek() not in tuple(_HEX[:10]):
            return charset.of("\0")
        if char == "c" and self._peek().isascii() and self._peek().isalpha():
            return charset.of(chr(ord(self._next()) % 32))
        if char == "x":
            return self._point(self._digits(2))
        if char == "u":
            return self._point(self._unicode())
        if char.isascii() and char.isalnum():
            raise self._wrong(f"\\{char}")
        return charset.of(char)

    def _unicode(self) -> int:
        if self._skip("{"):
            point = self._digits(max(self._pattern.find("}", self._at) - self._at, 1))
            if not self._skip("}"):
                raise self._wrong("an escape without its }")
            return point
        point = self._digits(4)
        if 0xD800 <= point <= 0xDBFF and self._skip("\\u"):
            low = self._digits(4)
            return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00) if 0xDC00 <= low <= 0xDFFF else -1
        return point

    def _point(self, point: int) -> Ranges:
        if not charset.contains(charset.UNICODE, point):
            raise self._wrong("half of a surrogate pair, or a code point beyond the last")
        return ((point, point),)

    def _digits(self, count: int) -> int:
        digits = self._pattern[self._at : self._at + count]
        if len(digits) < count or count > 8 or digits.strip(_HEX):
            raise self._wrong("an escape without its hexadecimal digits")
        self._at += count
        return int(digits, 16)

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        if self._at == len(self._pattern):
            raise self._wrong("the pattern ends in the middle")
        self._at += 1
        return self._pattern[self._at - 1]

    def _skip(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _wrong(self, what: str) -> Unsupported:
        return Unsupported(f"{what} (at character {self._at} of the pattern) is not supported")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _count(text: str) -> int:
    """More than a billion is as good as a billion: nothing can be so long."""
    return int(text) if len(text) < 10 else 10**9
