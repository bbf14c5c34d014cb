"""`.args`: the default arguments in a bundle, in llamafile's format.

Tokens are split on white space; `#` at a token's start begins a comment that ends with the line; `'…'` is literal;
`"…"` knows C's escapes; a backslash outside quotes takes the next character as it is; `$NAME` and `${NAME}` are
replaced from the environment without being split, an unset one by nothing. A token `...` stands for the user's own
arguments; where there is none they come last.

Refuses to know which flags there are, but for one whose value is nobody's to see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from runtime.errors import LoafError

USER_ARGUMENTS = "..."

_TOKEN_PART = re.compile(
    r"""
    (?P<space>\s+)
  | '(?P<literal>[^']*)'
  | "(?P<quoted>(?:[^"\\]|\\.)*)"
  | \\(?P<escaped>.)
  | \$\{(?P<braced>\w+)\}
  | \$(?P<variable>[A-Za-z_]\w*)
  | (?P<plain>[^\s'"\\$]+|\$)
    """,
    re.VERBOSE | re.DOTALL,
)
_C_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_C_CONTROLS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "e": "\x1b"}


_KEY = re.compile(r"""(--api-key(?:=|\s+))(?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+""", re.DOTALL)


class BadArguments(LoafError):
    """`.args` cannot be split into arguments. `position` counts characters."""

    def __init__(self, position: int) -> None:
        super().__init__(f".args: the quote or escape that begins at character {position + 1} is not ended", "End it.")
        self.position = position


class DefaultArguments(msgspec.Struct, frozen=True):
    """The arguments before and after the place where the user's own go."""

    before: tuple[str, ...]
    after: tuple[str, ...]


def parse_arguments(text: str, environment: Mapping[str, str]) -> DefaultArguments:
    """Split the text of `.args`. Only the first `...` counts, later ones vanish. Raises `BadArguments`."""
    tokens = [token.text for token in _split(text, environment)]
    if USER_ARGUMENTS not in tokens:
        return DefaultArguments(tuple(tokens), ())
    place = tokens.index(USER_ARGUMENTS)
    after = (token for token in tokens[place + 1 :] if token != USER_ARGUMENTS)
    return DefaultArguments(tuple(tokens[:place]), tuple(after))


def with_arguments(text: str, more: str) -> str:
    """The text of `.args` with `more` of the same after its own, before the user's. Raises `BadArguments`."""
    if not more:
        return text
    tokens = _split(text, {})
    place = next((token.begin for token in tokens if token.text == USER_ARGUMENTS), len(text))
    before, after = text[:place].rstrip(), text[place:]
    return "\n".join(part for part in (before, more, after) if part)


def without_flags(text: str, takes: Mapping[str, int]) -> str:
    """The text of `.args` without the flags that are keys of `takes`, and as many words behind each as it says.

    All else stays as it is written, but for lines that nothing is left of. Raises `BadArguments`.
    """
    tokens = _split(text, {})
    kept, done, number = "", 0, 0
    while number < len(tokens):
        name, equals, _value = tokens[number].text.partition("=")
        last = number
        if name in takes:
            last = min(number + (0 if equals else takes[name]), len(tokens) - 1)
            kept += text[done : tokens[number].begin]
            rest = text[tokens[last].end :].lstrip(" \t")
            done = len(text) - len(rest)
            if rest[:1] in ("", "\n") and kept.rpartition("\n")[2].strip() == "":
                kept, done = kept.rstrip(" \t"), done + len(rest[:1])
        number = last + 1
    return kept + text[done:]


def shown_arguments(text: str) -> str:
    """The text of `.args` on one line, for people: without the keys that clients are asked for."""
    return " ".join(_KEY.sub(r"\1…", text).split())


class _Token(msgspec.Struct, frozen=True):
    """What stands in `.args` from the character `begin` up to `end`, and what it comes to."""

    begin: int
    end: int
    text: str


def _split(text: str, environment: Mapping[str, str]) -> list[_Token]:
    tokens: list[_Token] = []
    current: str | None = None
    position = begin = 0
    while position < len(text):
        if current is None and text[position] == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            continue
        match = _TOKEN_PART.match(text, position)
        if match is None:
            raise BadArguments(position)
        position = match.end()
        if match["space"] is not None:
            if current is not None:
                tokens.append(_Token(begin, match.start(), current))
            current = None
        else:
            begin = match.start() if current is None else begin
            current = (current or "") + _value(match, environment)
    return tokens if current is None else [*tokens, _Token(begin, len(text), current)]


def _value(match: re.Match[str], environment: Mapping[str, str]) -> str:
    kind = match.lastgroup
    assert kind is not None
    text = match[kind]
    if kind in ("braced", "variable"):
        return environment.get(text, "")
    if kind == "quoted":
        return _C_ESCAPE.sub(_unescape, text)
    return text


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8))
    return _C_CONTROLS.get(code, code)
