"""Turns the bytes of tokens into text that can be shown.

A token may end in the middle of a UTF-8 character, and in the middle of a stop string; either is held back
until it is decided. Refuses to know tokens: it sees bytes only.
"""

from __future__ import annotations

import codecs


class TextAssembler:
    """Text out of pieces, in order. After `stopped` is set, nothing more comes out.

    `stop_string` is the one that was found ("" while none is).
    """

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = tuple(word for word in stop if word)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stop_string = ""

    @property
    def stopped(self) -> bool:
        return bool(self.stop_string)

    def push(self, piece: bytes) -> str:
        """The text that `piece` makes safe to show."""
        return self._take(self._decoder.decode(piece))

    def finish(self) -> str:
        """What was held back, when no more pieces come. Half a character becomes U+FFFD."""
        text = self._take(self._decoder.decode(b"", final=True))
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _take(self, text: str) -> str:
        if not self._stop:
            return text
        if self.stopped:
            return ""
        self._held += text
        found = [(index, word) for word in self._stop if (index := self._held.find(word)) >= 0]
        if found:
            index, self.stop_string = min(found, key=lambda match: match[0])
            safe, self._held = self._held[:index], ""
            return safe
        keep = max((_overlap(self._held, word) for word in self._stop), default=0)
        split = len(self._held) - keep
        safe, self._held = self._held[:split], self._held[split:]
        return safe


def _overlap(text: str, word: str) -> int:
    """The length of the longest end of `text` that `word` begins with."""
    for length in range(min(len(text), len(word) - 1), 0, -1):
        if text.endswith(word[:length]):
            return length
    return 0
