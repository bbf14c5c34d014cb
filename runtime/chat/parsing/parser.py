"""The parser of one answer, made from its format's entry.

Content and reasoning are handed on at once, but for what may be the beginning of a mark, and whitespace that may come
before one. A call's name is handed on as soon as it is complete, its arguments as they come.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Callable
from functools import lru_cache

import msgspec

from runtime.chat.answer import CallDelta, ContentDelta, Delta, ReasoningDelta
from runtime.chat.formats.format import (
    Arguments,
    Filler,
    Form,
    Format,
    Ids,
    JsonCall,
    Name,
    Number,
    Part,
    ShortId,
    Span,
    TaggedArguments,
    core,
    first_text,
)
from runtime.chat.messages import Tool
from runtime.chat.parsing.arguments import tagged_arguments
from runtime.chat.parsing.reader import Ended, Marks, Reader, Reading, Unexpected

_SERIAL = re.compile("[0-9A-Za-z]*")


class Expected(msgspec.Struct, frozen=True):
    """What is known of an answer before it comes.

    `tools` () means that calls are not looked for. `reasoning` is what stands around it, None if there is none;
    `begun` says that its beginning is in the prompt. `opening` is what of the answer's marks is in the prompt.
    `calls_before` counts the calls of the conversation.
    """

    format: Format
    tools: tuple[Tool, ...] = ()
    reasoning: Span | None = None
    begun: bool = False
    opening: str = ""
    splits_reasoning: bool = True
    calls_before: int = 0


class FormatParser:
    """Parses one answer; an `AnswerParser`."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._calls = expected.format.calls
        self._tools = {tool.name: tool for tool in expected.tools}
        self._marks = _marks_of(expected.format, expected.reasoning, bool(expected.tools))
        self._begins = {first_text(form): form for form in self._calls.forms if first_text(form)}
        self._reader = Reader()
        self._deltas: list[Delta] = []
        self._space = ""
        self._skips_space = False
        self._index = -1
        self._named = False
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
        if expected.tools and self._calls.bare:
            yield from self._bare_call()
        while True:
            mark = yield from self._reader.until(self._marks, self._say)
            if mark is None:
                self._flush_space()
                return
            space, self._space = self._space, ""
            if reasoning is not None and mark == core(reasoning.begin):
                yield from self._reason(reasoning)
                if expected.tools and self._calls.bare:
                    yield from self._bare_call()
            elif mark in self._begins or (self._calls.section and mark == core(self._calls.section.begin)):
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
        reader = self._reader
        reader.taken = ""
        try:
            if not (yield from reader.next_is("{")):
                raise Unexpected
            form = next(form for form in self._calls.forms if not first_text(form))
            yield from self._parts(form)
        except (Unexpected, Ended):
            if not self._named and reader.taken:
                self._say(reader.taken)
        self._after_calls()

    def _call_or_content(self, mark: str, space: str) -> Reading[None]:
        """The call or the section that `mark` begins; content after all, with `space` before it, if it is none."""
        self._reader.taken = space + mark
        try:
            section = self._calls.section
            if section is not None and mark == core(section.begin):
                yield from self._section(section)
            else:
                yield from self._parts(self._begins[mark][1:])
        except Unexpected:
            if self._reader.taken is not None:
                self._say(self._reader.taken)
        except Ended:
            pass
        self._after_calls()

    def _after_calls(self) -> None:
        self._reader.taken = None
        self._named = False
        self._skips_space = self._skips_space or self._index >= 0

    def _section(self, section: Span) -> Reading[None]:
        reader, calls = self._reader, self._calls
        if calls.listed:
            yield from reader.expect("[")
        while True:
            end = "]" if calls.listed else core(section.end)
            if end and (yield from reader.next_is(end)):
                break
            form = yield from self._form_at_hand()
            yield from self._parts(form)
            reader.taken, self._named = None, False
            if calls.listed and (yield from reader.next_is(",")):
                reader.take(1)
        if calls.listed:
            yield from reader.expect("]")
        yield from reader.expect(core(section.end))

    def _form_at_hand(self) -> Reading[Form]:
        for form in self._calls.forms:
            if (yield from self._reader.next_is(first_text(form) or "{")):
                return form
        raise Unexpected

    def _parts(self, form: Form) -> Reading[None]:
        reader = self._reader
        tool: Tool | None = None
        for i, part in enumerate(form):
            rest = form[i + 1 :]
            if isinstance(part, str):
                yield from reader.expect(core(part))
            elif isinstance(part, Name):
                tool = yield from self._name(Marks(_begins_of(rest)))
            elif isinstance(part, (Number, ShortId)):
                yield from self._serial()
            elif isinstance(part, Filler):
                skipped = Marks((core(str(rest[0])),))
                place = -1
                while place < 0:
                    place, mark = skipped.find(reader.text, ended=reader.ended)
                    if mark is None:
                        place = -1
                        yield from reader.more()
                reader.take(place)
            elif isinstance(part, Arguments):
                if not (yield from reader.next_is("{")):
                    raise Unexpected
                yield from reader.json(self._argue)
            elif isinstance(part, TaggedArguments):
                yield from tagged_arguments(reader, part, tool, core(str(rest[0])), self._argue)
            else:
                yield from self._json_call(part)

    def _name(self, ends: Marks) -> Reading[Tool | None]:
        """The name up to what follows it, which is left."""
        reader = self._reader
        while True:
            place, mark = ends.find(reader.text, ended=reader.ended)
            if mark is not None:
                break
            yield from reader.more()
        name = reader.take(place).strip()
        if not name:
            raise Unexpected
        self._start(name)
        return self._tools.get(name)

    def _serial(self) -> Reading[None]:
        yield from self._reader.space()
        while True:
            match = _SERIAL.match(self._reader.text)
            assert match is not None, "it matches nothing, too"
            self._reader.take(match.end())
            if self._reader.text:
                return
            yield from self._reader.more()

    def _json_call(self, keys: JsonCall) -> Reading[None]:
        """A call as a JSON object, whatever the order of its keys."""
        reader = self._reader
        yield from reader.expect("{")
        early: list[str] = []
        argued = False
        while not (yield from reader.next_is("}")):
            if (yield from reader.next_is(",")):
                reader.take(1)
                continue
            key = _text((yield from reader.string()))
            yield from reader.expect(":")
            if key == keys.name:
                name = _text((yield from reader.string()))
                if not first_text(self._calls.forms[0]) and self._calls.bare and name not in self._tools:
                    raise Unexpected
                self._start(name)
                self._argue("".join(early))
            elif key == keys.arguments:
                argued = True
                yield from self._json_arguments(self._argue if self._named else early.append)
            elif self._named or key in (keys.id_before, keys.id_after):
                yield from reader.json(_ignore)
            else:
                raise Unexpected
        if not self._named:
            raise Unexpected
        reader.take(1)
        if not argued:
            self._argue("{}")

    def _json_arguments(self, emit: Callable[[str], None]) -> Reading[None]:
        """The arguments, as an object; some models put it into a string."""
        yield from self._reader.space()
        if self._reader.text[0] == "{":
            yield from self._reader.json(emit)
            return
        value: list[str] = []
        yield from self._reader.json(value.append)
        text = "".join(value)
        inner = _text(text) if text.startswith('"') else ""
        emit(inner if inner.lstrip().startswith("{") else "{}")

    def _start(self, name: str) -> None:
        self._index += 1
        self._named = True
        self._reader.taken = None
        number = self._expected.calls_before + self._index
        self._add(CallDelta(self._index, call_id(self._calls.ids, name, number), name, ""))

    def _argue(self, text: str) -> None:
        if text:
            self._add(CallDelta(self._index, "", "", text))

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


def call_id(ids: Ids, name: str, number: int) -> str:
    """A new id for a call of `name`, the one with this `number` in its conversation."""
    if ids == "counted":
        return f"functions.{name}:{number}"
    letters = string.ascii_letters + string.digits
    if ids == "short":
        return "".join(secrets.choice(letters) for _ in range(9))
    return "call_" + "".join(secrets.choice(letters) for _ in range(24))


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


def _begins_of(parts: tuple[Part, ...]) -> list[str]:
    """What a name is followed by."""
    begins: list[str] = []
    for part in parts:
        if isinstance(part, str):
            begins.append(core(part) or part)
            if core(part):
                return begins
        elif isinstance(part, Arguments):
            return [*begins, "{"]
        elif isinstance(part, TaggedArguments):
            begins.append(core(part.begin))
        elif isinstance(part, Filler):
            begins += [option[:1] for option in part.options]
    return begins


def _text(written: str) -> str:
    try:
        text = json.loads(written, strict=False)
    except ValueError:
        raise Unexpected from None
    if not isinstance(text, str):
        raise Unexpected
    return text


def _ignore(_text: str) -> None:
    pass
