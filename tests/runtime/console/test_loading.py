"""What passes in one line while models load: whatever the window's width, and whatever they are called."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.console import aside as aside_module
from runtime.console import fetching, loading
from runtime.console.aside import Aside
from runtime.console.widths import shortened, width_of
from runtime.engine.engine import Engine
from runtime.engine.weights import Weights
from runtime.models.served import Loading, ServedModel
from support.fakes import FakeContext

SMOL = "SmolLM2-135M-Instruct.Q4_1"
SHOWN = [
    (100, f"Loading {SMOL}  [############............] 50% of 98.9 MB"),
    (80, f"Loading {SMOL}  [############............] 50% of 98.9 MB"),
    (72, f"Loading {SMOL}  [#########.........] 50% of 98.9 MB"),
    (60, "Loading SmolLM2-135M-Instruct.Q…  [####....] 50% of 98.9 MB"),
    (52, "Loading SmolLM2-135M-In…  [####....] 50% of 98.9 MB"),
    (40, "[###########...........] 50% of 98.9 MB"),
    (20, "50% of 98.9 MB"),
    (10, "50% of 9…"),
]


class Window(io.StringIO):
    """A terminal that is looked at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def width(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The window's, in columns: it may be changed."""
    of_window = [80]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(aside_module, "columns", lambda _stream: of_window[0] - 1)
    monkeypatch.setattr(loading, "_SOON", 0)
    monkeypatch.setattr(loading, "_REDRAW_SECONDS", 0)
    return of_window


def lines_of(window: Window) -> list[str]:
    """Those that were drawn, one over the other."""
    return [re.sub("\x1b\\[[0-9]*[a-zA-Z]", "", line) for line in window.getvalue().split("\r\x1b[K") if line]


def draw(window: Window, name: str, widths: Iterator[int], width: list[int]) -> None:
    """A line for each of `widths`, to which the window is made while it goes on."""
    served = ServedModel(name, Weights(Path("fake.gguf")), 98_900_000, "", Engine(FakeContext), Loading())
    served.loading.report(0.5)

    async def main() -> None:
        width[0] = next(widths)
        async with loading.loading_shown([served], Aside(window)):
            for number, columns in enumerate([*widths, 0], start=1):
                while len(lines_of(window)) < number:
                    await asyncio.sleep(0)
                width[0] = columns or width[0]

    asyncio.run(asyncio.wait_for(main(), 30))


def test_the_bar_keeps_to_the_window_also_when_that_is_resized(width: list[int]) -> None:
    window = Window()
    draw(window, SMOL, iter([columns for columns, _line in SHOWN]), width)
    assert list(dict.fromkeys(lines_of(window))) == list(dict.fromkeys(line for _columns, line in SHOWN))


@given(name=st.text(min_size=1), columns=st.integers(1, 120), share=st.floats(0, 1))
def test_no_line_is_wider_than_the_window(name: str, columns: int, share: float) -> None:
    line = shortened(loading._line(name, share, "1,234.5 GB", columns), columns)
    assert width_of(line) <= columns
    assert columns < 20 or f"{share:.0%} of 1,234.5 GB" in line


@given(st.text(), st.integers(0, 30))
def test_what_is_shortened_says_so(text: str, width: int) -> None:
    short = shortened(text, width)
    assert width_of(short) <= width
    assert short == text or short in ("", "…") or (short[-1] == "…" and text.startswith(short[:-1]))


def test_what_is_fetched_keeps_to_the_window_too(width: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window()
    monkeypatch.setattr("sys.stderr", window)
    monkeypatch.setattr(fetching, "_REDRAW_SECONDS", 0)
    monkeypatch.setattr(fetching, "clock", lambda _seconds: "0:05")
    report = fetching.announce("m.gguf")
    for columns in (80, 40, 20):
        width[0] = columns
        report(50_000_000, 100_000_000)
    assert lines_of(window)[-3:] == [
        "[############............] 50% of 100.0 MB, 0:05 left",
        "[#####.....] 50% of 100.0 MB, 0:05 left",
        "50% of 100.0 MB, 0…",
    ]
