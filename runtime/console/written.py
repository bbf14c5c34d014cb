"""An answer as it is written on the screen, and what has been said in it."""

from __future__ import annotations

from runtime.console.markdown.span import Look, Span
from runtime.console.screen import Screen


class WrittenAnswer:
    """`content` and `reasoning` are what came so far: thoughts are faint, and stand apart."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._writing = screen.markdown()
        self._thinks = False
        self.content = ""
        self.reasoning = ""

    def think(self, text: str) -> None:
        self.reasoning += text
        self._thinks = True
        self._screen.show([Span(text, Look.FAINT | Look.ITALIC)])

    def say(self, text: str) -> None:
        self._end_thoughts()
        self.content += text
        self._writing.push(text)

    def finish(self) -> None:
        self._end_thoughts()
        self._writing.finish()

    def _end_thoughts(self) -> None:
        if self._thinks:
            self._screen.show([Span("\n\n")])
            self._thinks = False
