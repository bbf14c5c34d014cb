"""The parser of one answer, made from its format's entry.

Content and reasoning are handed on at once, but for what may be the beginning of a mark, and whitespace that may come
before one. A call's name is handed on as soon as it is complete, its arguments as they come.
"""

from __future__ import annotations

from functools import lru_cache

from runtime.chat.answer import CallDelta, ContentDelta, Delta, ReasoningDelta
from runtime.chat.formats.format import Format, Span, core, first_text
from runtime.chat.parsing.calls import CallReader
from runtime.chat.parsing.expected import Expected
from runtime.chat.parsing.reader import Ended, Marks, Reader, Reading, Unexpected


class FormatParser:
    """Parses one answer; an `AnswerParser`."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._marks = _marks_of(expected.format, expected.reasoning, bool(expected.tools))
        self._reader = Reader()
        self._calls = CallReader(self._reader, expected, self._add)
        self._deltas: list[Delta] = []
        self._space = ""
        self._skips_space = expected.is_spaced
        self._reading = self._answer()
        self._reader.text = expected.opening
        self._go_on()

    def push(self, text: str) -> tuple[Delta, ...]:
        """What `text` makes certain; the rest is held back."""
        self._reader.text += text
        self._go_on()
        return self._handed_on()

    def finish(self) -> tuple[Delta, ...]:
        """What was held back, when nothing more comes. Closes nothing that the model did not close."""
        self._reader.ended = True
        self._go_on()
        return self._handed_on()

    def _go_on(self) -> None:
        next(self._reading, None)

    def _handed_on(self) -> tuple[Delta, ...]:
        deltas, self._deltas = tuple(self._deltas), []
        return deltas

    def _answer(self) -> Reading[None]:
        expected = self._expected
        reasoning = expected.reasoning
        if reasoning is not None and expected.begun:
            yield from self._reason(reasoning)
        if self._calls.may_be_bare:
            yield from self._bare_call()
        while True:
            mark = yield from self._reader.until(self._marks, self._say)
            if mark is None:
                self._flush_space()
                return
            space, self._space = self._space, ""
            if reasoning is not None and mark == core(reasoning.begin):
                yield from self._reason(reasoning)
                if self._calls.may_be_bare:
                    yield from self._bare_call()
            elif self._calls.begins_with(mark):
                yield from self._call_or_content(mark, space)
            elif mark in expected.format.content:
                self._skips_space = False

    def _reason(self, span: Span) -> Reading[None]:
        """Reasoning up to its end, without whitespace around it; or with its marks, as content."""
        if not self._expected.splits_reasoning:
            self._add(ContentDelta(span.begin))
            if (yield from self._reader.until(Marks((span.end,)), self._say_plainly)) is not None:
                self._add(ContentDelta(span.end))
            return
        self._skips_space = True
        yield from self._reader.until(Marks((core(span.end),)), self._think)
        self._space = ""
        self._skips_space = True

    def _bare_call(self) -> Reading[None]:
        """A call that is the answer itself, if it is one."""
        self._reader.taken = ""
        try:
            yield from self._calls.bare()
        except (Unexpected, Ended):
            if self._reader.taken:
                self._say(self._reader.taken)
        self._after_calls()

    def _call_or_content(self, mark: str, space: str) -> Reading[None]:
        """The call or the section that `mark` begins; content after all, with `space` before it, if it is none."""
        self._reader.taken = space + mark
        try:
            yield from self._calls.behind(mark)
        except Unexpected:
            if self._reader.taken is not None:
                self._say(self._reader.taken)
        except Ended:
            pass
        self._after_calls()

    def _after_calls(self) -> None:
        self._reader.taken = None
        self._skips_space = self._skips_space or self._calls.count > 0

    def _say(self, text: str) -> None:
        self._emit(ContentDelta, text)

    def _say_plainly(self, text: str) -> None:
        self._add(ContentDelta(text))

    def _think(self, text: str) -> None:
        self._emit(ReasoningDelta, text)

    def _emit(self, kind: type[ContentDelta] | type[ReasoningDelta], text: str) -> None:
        """Hand on `text`, but for whitespace at its end: a mark may follow, and then nobody misses it."""
        if self._skips_space:
            text = text.lstrip()
            if not text:
                return
            self._skips_space = False
        text = self._space + text
        kept = text.rstrip()
        self._space = text[len(kept) :]
        if kept:
            self._add(kind(kept))

    def _flush_space(self) -> None:
        if self._space:
            self._add(ContentDelta(self._space))
            self._space = ""

    def _add(self, delta: Delta) -> None:
        """Add `delta`, or join it to the last one if that is more of the same."""
        last = self._deltas[-1] if self._deltas else None
        if isinstance(last, CallDelta) and isinstance(delta, CallDelta) and not delta.name:
            delta = CallDelta(last.index, last.id, last.name, last.arguments + delta.arguments)
        elif isinstance(last, ContentDelta) and isinstance(delta, ContentDelta):
            delta = ContentDelta(last.text + delta.text)
        elif isinstance(last, ReasoningDelta) and isinstance(delta, ReasoningDelta):
            delta = ReasoningDelta(last.text + delta.text)
        else:
            self._deltas.append(delta)
            return
        self._deltas[-1] = delta


@lru_cache(maxsize=64)
def _marks_of(format: Format, reasoning: Span | None, has_tools: bool) -> Marks:
    """What may come in content."""
    marks = [*format.content, *format.noise]
    if reasoning is not None:
        marks.append(core(reasoning.begin))
    if has_tools:
        marks += map(first_text, format.calls.forms)
        if format.calls.section is not None:
            marks.append(core(format.calls.section.begin))
    return Marks(marks)
