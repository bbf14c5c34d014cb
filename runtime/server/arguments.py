"""The arguments of calls that were made earlier, as clients send them back: an object, whatever has become of it.

They are a record, so none is refused. Refuses to know what a tool takes.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_MOST_TRIES = 16
"""Places that arguments which were cut off are tried to end at, the last one first."""

_BEGUN = re.compile(r'\s*\{\s*("|$)')
_PLACE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[][{},:]', re.DOTALL)


def call_arguments(given: Any) -> dict[str, Any]:
    """The object that `given` is or was meant to be: JSON in a string, or the object itself.

    JSON that ends in the middle, as an answer does that came to its limit, is closed where it ends. What is no object
    is one with it as `input`, nothing at all is an empty one.
    """
    if isinstance(given, str):
        given = _parsed(given)
    if isinstance(given, str):  # JSON in JSON
        inner = _parsed(given)
        given = inner if isinstance(inner, dict) else given
    if isinstance(given, dict):
        return given
    return {} if given is None or given == "" or given == [] else {"input": given}


def _parsed(text: str) -> Any:
    """What `text` says as JSON; `text` itself where it is none."""
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        closed = _closed(text) if _BEGUN.match(text) else None
        return text if closed is None else closed


def _closed(text: str) -> dict[str, Any] | None:
    """The object that `text` begins, as far as it goes; None where it begins none."""
    ends: list[tuple[int, str]] = []
    open_: list[str] = []
    for found in _PLACE.finditer(text):
        token = found[0]
        if token in ("{", "["):
            open_.append("}" if token == "{" else "]")
        elif token in ("}", "]"):
            if not open_ or open_.pop() != token:
                return None
        elif token.startswith('"') and found.end() == len(text):
            closing = '"' + "".join(reversed(open_))
            escape = text.rfind("\\", found.start())  # which may have been cut in two
            ends += [(max(escape, found.start() + 1), closing), (len(text), closing)]
            continue
        elif token != ",":
            continue
        ends.append((found.start() if token == "," else found.end(), "".join(reversed(open_))))
    ends.append((len(text), "".join(reversed(open_))))
    for end, closing in reversed(ends[-_MOST_TRIES:]):
        try:
            return msgspec.json.decode(text[:end] + closing, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            continue
    return None
