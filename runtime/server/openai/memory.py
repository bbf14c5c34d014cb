"""What answers are found again by their ids: in memory, so many and of so many bytes, those nobody asks for go first.

Knows ids, and which answer goes on from which. Refuses to know what is in them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import msgspec
from aiohttp import web

from runtime.server.refusals import UnknownAnswer

MOST_ANSWERS = 1024
MOST_BYTES = 64 * 2**20
"""Of all of them together, as JSON. A conversation that agents have is a few megabytes long."""


class Kept(msgspec.Struct, frozen=True):
    """An `answer`, as JSON, and what it is an answer to: `items`, as a JSON list, after the `previous` answer's."""

    answer: bytes
    items: bytes = b"[]"
    previous: str | None = None

    @property
    def size(self) -> int:
        return len(self.answer) + len(self.items)


class AnswerMemory:
    """Answers by their ids, and what ends those that are still being made."""

    def __init__(self, most_answers: int = MOST_ANSWERS, most_bytes: int = MOST_BYTES) -> None:
        self._most_answers = most_answers
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0
        self._running: dict[str, tuple[Kept, Callable[[], None]]] = {}

    def keep(self, id_: str, kept: Kept) -> None:
        """In place of what there was of this id. What is larger than everything that may be kept is not."""
        self._forget(id_)
        self._kept[id_] = kept
        self._bytes += kept.size
        while len(self._kept) > self._most_answers or self._bytes > self._most_bytes:
            self._forget(next(iter(self._kept)))

    def find(self, id_: str) -> Kept:
        """Raises `UnknownAnswer`."""
        if id_ not in self._kept:
            raise UnknownAnswer(id_)
        self._kept.move_to_end(id_)
        return self._kept[id_]

    def conversation(self, id_: str) -> list[Kept]:
        """What the answer goes on from, and itself, the oldest first. Raises `UnknownAnswer` where a part is gone."""
        found: list[Kept] = []
        place: str | None = id_
        while place is not None:
            found.append(self.find(place))
            place = found[-1].previous
        return found[::-1]

    def forget(self, id_: str) -> None:
        """Raises `UnknownAnswer`."""
        self.find(id_)
        self._forget(id_)

    def begin(self, id_: str, kept: Kept, end: Callable[[], None]) -> None:
        """An answer is being made, of which this much is known; `end` ends that."""
        self.keep(id_, kept)
        self._running[id_] = (kept, end)

    def settle(self, id_: str) -> None:
        """Nothing more comes of it. Where that was all, because its client left, it is forgotten."""
        begun = self._running.pop(id_, None)
        if begun is not None and self._kept.get(id_) is begun[0]:
            self._forget(id_)

    def end(self, id_: str) -> bool:
        """Whether it is being made, and is to end now."""
        begun = self._running.get(id_)
        if begun is not None:
            begun[1]()
        return begun is not None

    def _forget(self, id_: str) -> None:
        gone = self._kept.pop(id_, None)
        if gone is not None:
            self._bytes -= gone.size


MEMORY = web.AppKey("memory", AnswerMemory)
