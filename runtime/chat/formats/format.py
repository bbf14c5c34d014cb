"""The parts that a family's format is put together from.

Whitespace at either end of a text here is how the model writes it; it may be left out, and any may stand there. What
is in the middle of a text has to come as it is.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Span(msgspec.Struct, frozen=True):
    """What stands around something."""

    begin: str
    end: str


class Name(msgspec.Struct, frozen=True):
    """The name of a tool, as it is."""


class Number(msgspec.Struct, frozen=True):
    """Digits that count the calls."""


class Arguments(msgspec.Struct, frozen=True):
    """The arguments, as a JSON object."""


class TaggedArguments(msgspec.Struct, frozen=True):
    """Each argument by itself: `begin`, its name, `middle`, its value, `end`.

    Strings are written as they are, other values as JSON. Where `middle` ends in a line break, one is no part of the
    value on either side.
    """

    begin: str
    middle: str
    end: str


class JsonCall(msgspec.Struct, frozen=True):
    """A JSON object with the keys of the tool's name, of the arguments, and of an id, if there is one."""

    name: str = "name"
    arguments: str = "arguments"
    id_before: str = ""
    id_after: str = ""


class Filler(msgspec.Struct, frozen=True):
    """Text of no importance: one of `options` where the model is held to a grammar, else anything."""

    options: tuple[str, ...]


class ShortId(msgspec.Struct, frozen=True):
    """An id of nine letters and digits, which the parser does not need."""


Part = str | Name | Number | ShortId | Arguments | TaggedArguments | JsonCall | Filler
Form = tuple[Part, ...]

Ids = Literal["own", "short", "counted"]
"""Ids of calls: made up by us, nine letters and digits (Mistral), or `functions.NAME:NUMBER` (Kimi)."""


class Calls(msgspec.Struct, frozen=True):
    """How tools are called.

    `forms` are ways to write one call, the first the preferred one. All calls stand in `section`, if there is one, and
    in a JSON list there if they are `listed`; else they have `between` between them. A form that begins without a text
    of its own is found only where the answer begins, or in a section. `parallel`: whether there may be several calls.
    """

    forms: tuple[Form, ...]
    section: Span | None = None
    listed: bool = False
    between: str = ""
    parallel: bool = True
    ids: Ids = "own"

    @property
    def bare(self) -> bool:
        """Whether a call may be the answer itself, with nothing before it."""
        return self.section is None and any(not isinstance(form[0], str) for form in self.forms)


class Format(msgspec.Struct, frozen=True):
    """A family: the `signs` it is known by, all of them in the template's source.

    `reasoning` None: as the template's source shows (`families.REASONING`). `channels` say that reasoning and content
    are each in a span of their own, so that nothing of one can be taken for the other. `content` are beginnings and
    ends around the content, and `noise` what may stand anywhere and says nothing. `opening` is what the prompt ends
    with and what belongs to the first of those.
    `off` are the template's values that turn reasoning off, besides `enable_thinking`.
    """

    name: str
    signs: tuple[str, ...]
    calls: Calls
    reasoning: Span | None = None
    content: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    opening: str = ""
    channels: bool = False
    off: tuple[tuple[str, int], ...] = ()


def core(text: str) -> str:
    """What has to come of a text of a format: all but the whitespace at its ends."""
    return text.strip()


def first_text(form: Form) -> str:
    """The text that a call begins with, "" if it has none."""
    return core(form[0]) if isinstance(form[0], str) else ""
