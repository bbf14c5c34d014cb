"""What is within a line of Markdown: emphasis, code, links. CommonMark's rules, as far as one line goes.

Text comes in pieces of any length. A mark that may open something is held back until what closes it has come, or until
`HOLD` characters have come without it: then it was no mark.
"""

from __future__ import annotations

import re
import string

from runtime.console.markdown.span import Look, Span

HOLD = 200
"""Characters that are held back at most."""

_SPECIAL = frozenset("\\`*_~[!<")
_PUNCTUATION = frozenset(string.punctuation)
_LINK = re.compile(
    r"(!?)\[((?:[^\[\]\\]|\\.)*)\]\(\s*<?([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+\"[^\"]*\")?\s*\)"
)
_MAYBE_LINK = re.compile(r"!?(?:\[(?:[^\[\]\\]|\\.)*(?:\\|\](?:\([^)]*(?:\([^)]*\)?[^)]*)?)?)?)?")
_ANGLE = re.compile(r"<(https?://[^\s<>]+|mailto:[^\s<>]+|br ?/?)>")
_MAYBE_ANGLE = re.compile(r"<[^<>]{0,8}|<(?:https?://|mailto:)[^\s<>]*")
_LOOKS = {"*": (Look.ITALIC, Look.BOLD), "_": (Look.ITALIC, Look.BOLD), "~": (Look.PLAIN, Look.STRUCK)}


class Inline:
    """Reads one line, in pieces. `look` is that of all of it."""

    def __init__(self, look: Look = Look.PLAIN) -> None:
        self._base = look
        self._held = ""
        self._before = ""
        self._open: list[tuple[str, int]] = []
        self._out: list[Span] = []

    def push(self, text: str) -> list[Span]:
        """What `text` makes certain."""
        self._held += text
        return self._read(is_whole=False)

    def finish(self) -> list[Span]:
        """The rest: the line is at its end."""
        return self._read(is_whole=True)

    def _read(self, *, is_whole: bool) -> list[Span]:
        while self._held:
            taken = self._take(self._held, is_whole)
            if taken == 0:
                break
            self._before = self._held[taken - 1]
            self._held = self._held[taken:]
        out, self._out = self._out, []
        return out

    def _take(self, text: str, is_whole: bool) -> int:
        """Put out what `text` begins with; how many characters that were, 0 while it cannot be told yet."""
        first = text[0]
        if first not in _SPECIAL:
            end = next((i for i, character in enumerate(text) if character in _SPECIAL), len(text))
            return self._put(text[:end], end)
        is_known = is_whole or len(text) >= HOLD
        text = text[:HOLD]
        if first == "\\":
            return self._escape(text, is_known)
        if first == "`":
            return self._code(text, is_known)
        if first in _LOOKS:
            return self._emphasis(text, is_whole and len(text) < HOLD, is_known)
        if first == "<":
            return self._angle(text, is_known)
        return self._link(text, is_known)

    def _put(self, text: str, taken: int, look: Look = Look.PLAIN) -> int:
        for mark, count in self._open:
            look |= _LOOKS[mark][count - 1]
        self._out.append(Span(text, self._base | look))
        return taken

    def _escape(self, text: str, is_known: bool) -> int:
        if len(text) < 2:
            return self._put("\\", 1) if is_known else 0
        return self._put(text[1], 2) if text[1] in _PUNCTUATION else self._put("\\", 1)

    def _code(self, text: str, is_known: bool) -> int:
        ticks = _run(text, 0)
        if ticks < len(text):
            end = _closing_ticks(text, ticks, is_known)
            if end is not None:
                code = text[ticks:end]
                if code.startswith(" ") and code.endswith(" ") and code.strip():
                    code = code[1:-1]
                return self._put(code, end + ticks, Look.CODE)
        return self._put(text[:ticks], ticks) if is_known else 0

    def _emphasis(self, text: str, at_end: bool, is_known: bool) -> int:
        """A run of marks: it closes what is open, or opens something that is closed later, or is but text."""
        mark = text[0]
        count = _run(text, 0)
        if count == len(text) and not is_known:
            return 0
        after = text[count : count + 1]
        if _closes(mark, self._before, after) and (closed := self._close(mark, count)):
            return closed
        if count > 3 or (mark == "~" and count != 2) or not _opens(mark, self._before, after):
            return self._put(text[:count], count)
        found = _closing(text, mark, count, at_end=at_end, is_known=is_known)
        if found is None:
            return self._put(text[:count], count) if is_known else 0
        if count == 3:
            inner = 2 if found == 2 else 1
            self._open += [(mark, 3 - inner), (mark, inner)]
        else:
            self._open.append((mark, count))
        return count

    def _close(self, mark: str, count: int) -> int:
        """End what `count` marks end; how many of them did that."""
        left = count
        while self._open and self._open[-1][0] == mark and _fits(self._open[-1][1], left):
            left -= self._open.pop()[1]
        return count - left

    def _link(self, text: str, is_known: bool) -> int:
        found = _LINK.match(text)
        if found is not None:
            label = Inline(self._base | Look.LINK)
            for span in [*label.push(found[2]), *label.finish()]:
                self._put(span.text, 0, span.look)
            address = found[3]
            if address and address not in (found[2], f"mailto:{found[2]}"):
                self._put(f" ({address})", 0, Look.FAINT)
            return found.end()
        if not is_known and _MAYBE_LINK.fullmatch(text):
            return 0
        return self._put(text[0], 1)

    def _angle(self, text: str, is_known: bool) -> int:
        found = _ANGLE.match(text)
        if found is not None:
            if found[1].startswith("br"):
                return self._put("\n", found.end())
            return self._put(found[1].removeprefix("mailto:"), found.end(), Look.LINK)
        if not is_known and _MAYBE_ANGLE.fullmatch(text):
            return 0
        return self._put("<", 1)


def inline(text: str, look: Look = Look.PLAIN) -> list[Span]:
    """A whole line at once."""
    reader = Inline(look)
    return [*reader.push(text), *reader.finish()]


def _run(text: str, start: int) -> int:
    """How often the character at `start` is repeated there."""
    end = start
    while end < len(text) and text[end] == text[start]:
        end += 1
    return end - start


def _closing_ticks(text: str, ticks: int, is_known: bool) -> int | None:
    """Where a run of exactly so many ticks begins again."""
    place = ticks
    while (place := text.find("`", place)) >= 0:
        run = _run(text, place)
        if run == ticks and (place + run < len(text) or is_known):
            return place
        place += run
    return None


def _opens(mark: str, before: str, after: str) -> bool:
    """CommonMark's left-flanking run; among letters `_` opens nothing. Letters beyond ASCII need no space."""
    if not after or after.isspace() or (mark == "_" and before.isalnum()):
        return False
    return after not in _PUNCTUATION or not before or before.isspace() or before in _PUNCTUATION or not before.isascii()


def _closes(mark: str, before: str, after: str) -> bool:
    """CommonMark's right-flanking run."""
    if not before or before.isspace() or (mark == "_" and after.isalnum()):
        return False
    return before not in _PUNCTUATION or not after or after.isspace() or after in _PUNCTUATION or not after.isascii()


def _fits(opened: int, run: int) -> bool:
    """Whether a run of marks may close one that opened: two of them are never twice one."""
    return opened == 3 or (run >= opened and (opened, run) != (1, 2))


def _closing(text: str, mark: str, count: int, *, at_end: bool, is_known: bool) -> int | None:
    """How long the run is that closes the one of `count` marks at the beginning of `text`; None where there is none.

    What comes after a run has to be there, unless `at_end` says that nothing does. Without `is_known`, more may come.
    """
    place = count
    while place < len(text):
        character = text[place]
        run = _run(text, place)
        if character == "\\":
            run = 2
        elif character == "`":
            end = _closing_ticks(text[place:], run, is_known)
            if end is None and not is_known:
                return None
            run += 0 if end is None else end
        elif character == mark:
            after = text[place + run : place + run + 1]
            if (after or at_end) and _fits(count, run) and _closes(mark, text[place - 1], after):
                return run
        place += run
    return None
