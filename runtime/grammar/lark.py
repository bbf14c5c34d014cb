"""Grammars in Lark's notation (lark-parser's grammar reference) as regular expressions, where they are that much.

Read are rules and terminals, alternatives, groups, `[…]`, `?`, `*`, `+`, `~ n..m`, strings, ranges of characters and
regular expressions without flags, aliases, and some terminals of `common`. A rule that leads back to itself is no
regular expression; what is ignored between terminals and templates are not read. `LarkUnsupported` says why.
Knows nothing of what the texts are for.
"""

from __future__ import annotations

import json
import re

_COMMON = {
    "CR": r"\r", "LF": r"\n", "NEWLINE": r"(?:\r?\n)+", "WS": r"[ \t\f\r\n]+", "WS_INLINE": r"[ \t]+",
    "DIGIT": "[0-9]", "INT": "[0-9]+", "SIGNED_INT": "[+-]?[0-9]+", "HEXDIGIT": "[a-fA-F0-9]",
    "NUMBER": r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", "LETTER": "[a-zA-Z]", "LCASE_LETTER": "[a-z]",
    "UCASE_LETTER": "[A-Z]", "WORD": "[a-zA-Z]+", "CNAME": "[_a-zA-Z][_a-zA-Z0-9]*",
    "ESCAPED_STRING": r'"(?:[^"\\\n]|\\.)*"',
}  # fmt: skip
"""Of lark/grammars/common.lark."""

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+|//[^\n]*)|(?P<line>(?:\r?\n[ \t]*)+)|(?P<string>"(?:[^"\\\n]|\\.)*")(?P<flag>i?)"""
    r"""|(?P<regex>/(?!/)(?:[^/\\\n]|\\.)+/)(?P<flags>[imslux]*)|(?P<range>\.\.)|(?P<number>\d+)|(?P<arrow>->)"""
    r"""|(?P<name>[_a-zA-Z][_a-zA-Z0-9]*)|(?P<sign>[:|()\[\]?*+~.!%,{}])"""
)

_DEPTH, _MOST = 24, 20_000
"""Groups and rules within each other, and characters of the whole: what does not recur still multiplies."""

Token = tuple[str, str]


class LarkUnsupported(Exception):
    """`reason` is what a grammar says that is not read here, or wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def pattern_of(grammar: str) -> str:
    """A regular expression, from its beginning to its end, of what follows the rule `start`."""
    rules = _rules_of(grammar)
    return f"^{_Writer(rules).rule('start')}$"


def _rules_of(grammar: str) -> dict[str, list[Token]]:
    """The tokens of each rule's body."""
    rules: dict[str, list[Token]] = {}
    body: list[Token] | None = None
    for line in _lines(_tokens(grammar)):
        kinds = [kind for kind, _text in line]
        texts = [text for _kind, text in line]
        if texts[0] == "|" and body is not None:  # the rule goes on
            body += line
        elif texts[0] == "%":
            rules |= {name: [] for name in _imported(texts)}
            body = None
        else:
            start = 1 if texts[0] in ("?", "!") else 0
            end = start + (3 if texts[start + 1 : start + 2] == ["."] else 1)  # a terminal's priority
            if kinds[start : start + 1] != ["name"] or texts[end : end + 1] != [":"]:
                raise LarkUnsupported(f"a line that is no rule: {' '.join(texts)[:40]}")
            body = rules[texts[start]] = line[end + 1 :]
    return rules


def _imported(texts: list[str]) -> list[str]:
    """The names that `%import common.NAME` brings."""
    if texts[1:3] == ["import", "common"]:
        names = [text for text in texts[3:] if text not in (".", "(", ")", ",")]
        if names and all(name in _COMMON for name in names):
            return names
    raise LarkUnsupported(f"{''.join(texts[:2])} of this kind")


def _tokens(grammar: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(grammar):
        match = _TOKEN.match(grammar, at)
        if match is None:
            raise LarkUnsupported(f"the character {grammar[at]!r}")
        if match["flag"] or match["flags"]:
            raise LarkUnsupported("flags")
        at = match.end()
        kind = next(name for name in ("space", "line", "string", "regex", "range", "number", "arrow", "name", "sign")
                    if match[name])  # fmt: skip
        if kind != "space":
            found.append((kind, match[kind]))
    return found


def _lines(tokens: list[Token]) -> list[list[Token]]:
    """The tokens of each line, without empty ones."""
    lines: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token[1] in ("(", "[")) - (token[1] in (")", "]"))
        if token[0] != "line":
            lines[-1].append(token)
        elif not depth:
            lines.append([])
    return [line for line in lines if line]


class _Writer:
    """Rules into expressions, each where it is used."""

    def __init__(self, rules: dict[str, list[Token]]) -> None:
        self._rules = rules
        self._open: list[str] = []
        self._written: dict[str, str] = {}
        self._tokens: list[Token] = []
        self._depth = 0

    def rule(self, name: str) -> str:
        """What follows the rule."""
        if name not in self._rules:
            raise LarkUnsupported(f"there is no rule {name!r}")
        if name in self._open:
            raise LarkUnsupported(f"the rule {name!r} leads back to itself")
        if name not in self._written:
            outer, self._tokens = self._tokens, [*self._rules[name], ("end", "")][::-1]
            self._open.append(name)
            imported = name in _COMMON and not self._rules[name]
            self._written[name] = f"(?:{_COMMON[name]})" if imported else self._alternatives()
            if not imported and self._next() != ("end", ""):
                raise LarkUnsupported(f"something behind the rule {name!r}")
            self._open.pop()
            self._tokens = outer
        if len(self._written[name]) > _MOST:
            raise LarkUnsupported("it is too long")
        return self._written[name]

    def _alternatives(self) -> str:
        self._depth += 1
        if self._depth > _DEPTH:
            raise LarkUnsupported("it is too deep")
        ways = [self._sequence()]
        while self._skip("|"):
            ways.append(self._sequence())
        self._depth -= 1
        return f"(?:{'|'.join(ways)})"

    def _sequence(self) -> str:
        parts: list[str] = []
        while (token := self._peek())[1] not in ("|", ")", "]", "") and token[0] != "arrow":
            parts.append(self._counted(self._atom()))
            if sum(map(len, parts)) > _MOST:
                raise LarkUnsupported("it is too long")
        if self._peek()[0] == "arrow":  # what a tree calls it
            self._next()
            self._next()
        return "".join(parts)

    def _atom(self) -> str:
        kind, text = self._next()
        if kind == "string":
            if self._peek()[0] == "range":
                self._next()
                return self._range(_string(text), _string(self._next()[1]))
            return f"(?:{_escaped(_string(text))})"
        if kind == "regex":
            return f"(?:{text[1:-1]})".replace("\\/", "/")
        if kind == "name":
            return self.rule(text)
        if text in ("(", "["):
            inside = self._alternatives()
            if not self._skip(")" if text == "(" else "]"):
                raise LarkUnsupported("a group without its end")
            return inside if text == "(" else f"{inside}?"
        raise LarkUnsupported(f"{text!r} where something to match has to be")

    def _range(self, low: str, high: str) -> str:
        if len(low) != 1 or len(high) != 1:
            raise LarkUnsupported("a range that is not of characters")
        return f"[{_in_class(low)}-{_in_class(high)}]"

    def _counted(self, part: str) -> str:
        for sign in "?*+":
            if self._skip(sign):
                return f"(?:{part}){sign}"
        if not self._skip("~"):
            return part
        low = high = self._number()
        if self._peek()[0] == "range":
            self._next()
            high = self._number()
        return f"(?:{part}){{{low},{high}}}"

    def _number(self) -> str:
        kind, text = self._next()
        if kind != "number":
            raise LarkUnsupported("a count that is none")
        return text

    def _peek(self) -> Token:
        return self._tokens[-1] if self._tokens else ("end", "")

    def _next(self) -> Token:
        return self._tokens.pop() if self._tokens else ("end", "")

    def _skip(self, text: str) -> bool:
        kind, found = self._peek()
        if kind == "sign" and found == text:
            self._next()
            return True
        return False


def _string(literal: str) -> str:
    try:
        return str(json.loads(literal))
    except ValueError:
        raise LarkUnsupported(f"the string {literal[:40]}") from None


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char in r"\^$.*+?()[]{}|/" else _in_class(char) for char in text)


def _in_class(char: str) -> str:
    point = ord(char)
    return f"\\u{point:04x}" if point < 0x20 or char in "]^-\\" else char
