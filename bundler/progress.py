"""What a person sees while something takes long: what is being done, how far it is, how long it will take.

Knows terminals and clocks. Refuses to know what is counted: callers name it and count it. Everything goes
to one stream, stderr by default, because stdout belongs to the result.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TextIO

Unit = Literal["bytes", "steps", "share"]
Advance = Callable[[int], None]

_REDRAW_SECONDS = 0.1  # a terminal gains nothing from more than ten pictures a second
_LINE_SECONDS = 30.0  # a log shows a sign of life this often, and at every tenth,
_LINE_PAUSE_SECONDS = 2.0  # but a step that is over in a moment does not fill it


class Progress(Protocol):
    """Shows steps, one after the other."""

    def step(self, title: str, total: int | None, unit: Unit) -> AbstractContextManager[Advance]:
        """Shows one step while the `with` block runs. Call the value with how much more is done.

        `total` is in `unit`s; None when nobody knows it beforehand. Of a "share" nobody needs to see more than how much
        of the whole it is.
        """

    def say(self, text: str) -> None:
        """Shows a line that stays."""


def progress_for(stream: TextIO | None = None) -> Progress:
    """A bar when `stream` (stderr by default) is a terminal, a line now and then when it is not."""
    stream = sys.stderr if stream is None else stream
    return TerminalProgress(stream) if stream.isatty() else LineProgress(stream)


class SilentProgress:
    """Shows nothing."""

    @contextmanager
    def step(self, title: str, total: int | None, unit: Unit) -> Iterator[Advance]:  # noqa: ARG002
        yield lambda amount: None  # noqa: ARG005

    def say(self, text: str) -> None:
        pass


SILENCE = SilentProgress()


class TerminalProgress:
    """A bar that is redrawn in place, and gone when its step is over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @contextmanager
    def step(self, title: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        meter = _Meter(total, unit)
        drawn = 0.0

        def advance(amount: int) -> None:
            nonlocal drawn
            meter.done += amount
            if time.monotonic() - drawn >= _REDRAW_SECONDS:
                drawn = time.monotonic()
                self._draw(title, meter)

        self._draw(title, meter)
        try:
            yield advance
        finally:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def say(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text}\n")
        self._stream.flush()

    def _draw(self, title: str, meter: _Meter) -> None:
        text = f"{title}  {meter.bar()}{meter.describe()}"
        self._stream.write("\r\x1b[K" + text[: shutil.get_terminal_size().columns - 1])
        self._stream.flush()


class LineProgress:
    """A line at the beginning, now and then, and at the end of a step that took its time."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @contextmanager
    def step(self, title: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        meter = _Meter(total, unit)
        printed_at, printed_tenth = meter.started, 0

        def advance(amount: int) -> None:
            nonlocal printed_at, printed_tenth
            meter.done += amount
            pause = time.monotonic() - printed_at
            tenth = int(meter.share * 10)
            if (printed_tenth < tenth < 10 and pause >= _LINE_PAUSE_SECONDS) or pause >= _LINE_SECONDS:
                printed_at, printed_tenth = time.monotonic(), tenth
                self.say(f"{title}: {meter.describe()}")

        self.say(f"{title} ...")
        yield advance
        if meter.elapsed >= _LINE_PAUSE_SECONDS:
            self.say(f"{title}: done in {_clock(meter.elapsed)}")

    def say(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


@dataclass
class _Meter:
    """How far a step is, and since when it runs."""

    total: int | None
    unit: Unit
    done: int = 0
    started: float = field(default_factory=lambda: time.monotonic())

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0

    def describe(self) -> str:
        if not self.total:
            return f"{self._amount(self.done)}, {_clock(self.elapsed)}" if self.done else _clock(self.elapsed)
        text = f"{self.share:4.0%}"
        if self.unit != "share":
            text += f"  {self._amount(self.done)} of {self._amount(self.total)}"
        return f"{text}  {_clock(self._left())} left" if self._foreseeable() else text

    def bar(self, width: int = 24) -> str:
        if not self.total:
            return ""
        full = round(self.share * width)
        return f"[{'#' * full}{'.' * (width - full)}] "

    def _foreseeable(self) -> bool:
        """A guess from the first second or the first hundredth would only jump about."""
        return self.elapsed >= 1 and self.share >= 0.01

    def _left(self) -> float:
        return self.elapsed * (1 - self.share) / self.share

    def _amount(self, count: int) -> str:
        return format_bytes(count) if self.unit == "bytes" else str(count)


def format_bytes(count: int) -> str:
    """`count` bytes in the unit a person would pick, decimal: 999 B, 1.5 kB, 21.8 MB, 4.10 GB."""
    for size, name, digits in ((10**9, "GB", 2), (10**6, "MB", 1), (10**3, "kB", 1)):
        if count >= size:
            return f"{count / size:.{digits}f} {name}"
    return f"{count} B"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
