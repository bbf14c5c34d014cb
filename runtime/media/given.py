"""What a request brought besides text, and the marks that stand for it in the texts of messages.

A mark is a word that nobody can guess, so nothing that a client writes is taken for one; it has letters and digits
only, so templates and JSON leave it as it is. Wherever a text goes on its way to the prompt, its pictures and sounds go
with it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable

import msgspec

from runtime.media.kinds import Kind

SHOWN_AS = "<__media__>"
"""What stands for a picture or sound where a prompt is shown as text, and in those of llama.cpp's dialect: libmtmd's
marker."""

_NONCE = secrets.token_hex(12)
_MARK = re.compile(rf"qmedia{_NONCE}n(\d{{1,6}})q")
_LONGEST = 64
"""Characters of a mark, or more."""


class Given(msgspec.Struct, frozen=True):
    """A picture or a sound. `source` is an address, a data URI, or bare base64, as the client wrote it: nobody has
    looked yet.

    `field` of the request has it, `is_now` where it is of what the user asks just now. `kind` is how the client calls
    it.
    """

    mark: str
    source: str
    field: str
    kind: str
    is_now: bool

    @property
    def claims(self) -> Kind:
        """What the client takes it for."""
        return "sound" if "audio" in self.kind else "picture"

    @property
    def word(self) -> str:
        """What stands for it where the model takes none of its kind."""
        return {"picture": "[image]", "sound": "[audio]"}[self.claims]


class Gathering:
    """Takes in what a request brings, in order."""

    def __init__(self) -> None:
        self._given: list[Given] = []

    @property
    def given(self) -> tuple[Given, ...]:
        return tuple(self._given)

    def add(self, field: str, source: str, kind: str, *, is_now: bool) -> str:
        """The mark that stands for what is at `source`."""
        mark = f"qmedia{_NONCE}n{len(self._given)}q"
        self._given.append(Given(mark, source, field, kind, is_now))
        return mark


def joined(texts: Iterable[str | None]) -> str:
    """Parts of a message as one text: a line each, but marks stand where they are, with no line ends around them.

    As llama-server joins them (`common_chat_msg::to_json_oaicompat` in llama.cpp's common/chat.cpp).
    """
    whole = ""
    for text in texts:
        if text is None:
            continue
        is_apart = not whole or _ends_with_mark(whole) or _MARK.match(text) is not None
        whole += text if is_apart else f"\n{text}"
    return whole


def apart(text: str) -> list[str]:
    """`text` in pieces: what is between marks, and the marks; every second one is a mark."""
    pieces: list[str] = []
    end = 0
    for found in _MARK.finditer(text):
        pieces += [text[end : found.start()], found[0]]
        end = found.end()
    return [*pieces, text[end:]]


def with_words(text: str, word_for: Callable[[str], str]) -> str:
    """`text` with a word in the place of each mark."""
    return _MARK.sub(lambda found: word_for(found[0]), text)


def _ends_with_mark(text: str) -> bool:
    tail = text[-_LONGEST:]
    found = list(_MARK.finditer(tail))
    return bool(found) and found[-1].end() == len(tail)
