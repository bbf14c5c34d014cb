"""Tool calls, read part by part as their family's forms say.

Knows forms; refuses to know what else is in an answer.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Callable

from runtime.chat.answer import CallDelta
from runtime.chat.formats.format import (
    Arguments,
    Filler,
    Form,
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
from runtime.chat.parsing.expected import Expected
from runtime.chat.parsing.reader import Ended, Marks, Reader, Reading, Unexpected

_SERIAL = re.compile("[0-9A-Za-z]*")


class CallReader:
    """Reads the calls of one answer from `reader` and hands them to `add`; `count` of them were begun.

    Once a call has its name, nothing of it is content any more, and the reader's `taken` is None.
    """

    def __init__(self, reader: Reader, expected: Expected, add: Callable[[CallDelta], None]) -> None:
        self._reader = reader
        self._calls = expected.format.calls
        self._calls_before = expected.calls_before
        self._tools = {tool.name: tool for tool in expected.tools}
        self._begins = {first_text(form): form for form in self._calls.forms if first_text(form)}
        self._add = add
        self._named = False
        self.count = 0

    @property
    def may_be_bare(self) -> bool:
        """Whether a call may be the answer itself."""
        return self._calls.bare and bool(self._tools)

    def begins_with(self, mark: str) -> bool:
        """Whether calls begin with `mark`."""
        section = self._calls.section
        return mark in self._begins or (section is not None and mark == core(section.begin))

    def bare(self) -> Reading[None]:
        """A call that is the answer itself. Raises `Unexpected` and `Ended`."""
        if not (yield from self._reader.next_is("{")):
            raise Unexpected
        yield from self._parts(next(form for form in self._calls.forms if not first_text(form)))

    def behind(self, mark: str) -> Reading[None]:
        """The calls that begin with `mark`, which has been read. Raises `Unexpected` and `Ended`."""
        section = self._calls.section
        if section is not None and mark == core(section.begin):
            yield from self._section(section)
        else:
            yield from self._parts(self._begins[mark][1:])

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
            reader.taken = None
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
        self._named = False
        for i, part in enumerate(form):
            rest = form[i + 1 :]
            if isinstance(part, str):
                yield from reader.expect(core(part))
            elif isinstance(part, Name):
                tool = yield from self._name(Marks(_begins_of(rest)))
            elif isinstance(part, (Number, ShortId)):
                yield from self._serial()
            elif isinstance(part, Filler):
                yield from reader.up_to(Marks((core(str(rest[0])),)), _ignore)
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
        parts: list[str] = []
        if (yield from self._reader.up_to(ends, parts.append)) is None:
            raise Ended
        name = "".join(parts).strip()
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
        self._named = True
        self._reader.taken = None
        number = self._calls_before + self.count
        self._add(CallDelta(self.count, call_id(self._calls.ids, name, number), name, ""))
        self.count += 1

    def _argue(self, text: str) -> None:
        if text:
            self._add(CallDelta(self.count - 1, "", "", text))


def call_id(ids: Ids, name: str, number: int) -> str:
    """A new id for a call of `name`, the one with this `number` in its conversation."""
    if ids == "counted":
        return f"functions.{name}:{number}"
    letters = string.ascii_letters + string.digits
    if ids == "short":
        return "".join(secrets.choice(letters) for _ in range(9))
    return "call_" + "".join(secrets.choice(letters) for _ in range(24))


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
