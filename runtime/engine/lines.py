"""The lines of a text while it grows: whether one has ended, and whether the last begins too far to the left.

What completes code inside a block wants no more than the block (llama-server's `n_indent`).
"""

from __future__ import annotations


class Lines:
    """A text's lines. Once `is_outside`, one has begun with fewer than `n_indent` spaces or tabs, and nothing follows.

    An empty line counts as one that does. The first line goes on from the prompt, and may begin as it likes.
    """

    def __init__(self, n_indent: int) -> None:
        self._n_indent = n_indent
        self._indent: int | None = None
        self.has_ended_one = False
        self.is_outside = False

    def push(self, text: str) -> str:
        """As much of `text` as is inside."""
        if not self._n_indent:
            self.has_ended_one = self.has_ended_one or "\n" in text
            return text
        for i, character in enumerate(text):
            if self.is_outside or self._is_too_far_left(character):
                self.is_outside = True
                return text[:i]
        return text

    def _is_too_far_left(self, character: str) -> bool:
        """Take in one more character; `_indent` is None once a line's text has begun."""
        if self._indent is not None and character in " \t":
            self._indent += 1
            return False
        if self._indent is not None and self._indent < self._n_indent:
            return True
        ends = character == "\n"
        self._indent = 0 if ends else None
        self.has_ended_one = self.has_ended_one or ends
        return False
