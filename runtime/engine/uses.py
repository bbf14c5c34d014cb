"""Who uses an engine's model just now, so that it is not unloaded under anybody's hands.

A request has one `Uses`, which whatever is done for it finds, in threads too: there it is carried on, and ends with the
last of them, though the request may have ended before. Refuses to know when a model is unloaded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, Protocol, TypeVar

from runtime.engine.wanted import NobodyWaits

T = TypeVar("T")


class Usable(Protocol):
    """An engine."""

    def begin_use(self) -> None: ...
    def end_use(self) -> None: ...


class Uses:
    """What one request uses, until everybody who works for it has let go. `ended` is called then, in any thread."""

    def __init__(self, ended: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()
        self._used: set[Usable] = set()
        self._holders = 1
        self._ended = ended

    def add(self, one: Usable) -> None:
        """From now on; said again, it changes nothing, nor when all have let go."""
        if one in self._used:
            return
        with self._lock:
            if self._holders and one not in self._used:
                self._used.add(one)
                one.begin_use()

    @property
    def used(self) -> frozenset[Usable]:
        return frozenset(self._used)

    def hold(self) -> None:
        """One more works for the request."""
        with self._lock:
            self._holders += 1

    def let_go(self) -> None:
        """One of those is done."""
        with self._lock:
            self._holders -= 1
            if self._holders:
                return
        for one in self._used:
            one.end_use()
        self._ended()


_current: ContextVar[Uses | None] = ContextVar("uses", default=None)


def note_use(one: Usable) -> None:
    """Whatever this is done for uses `one`; nothing where nobody counts that."""
    uses = _current.get()
    if uses is not None:
        uses.add(one)


@contextmanager
def counted_in(uses: Uses | None) -> Iterator[None]:
    """What is done in the block, and in what is started from it, is done for the request of `uses`."""
    token = _current.set(uses)
    try:
        yield
    finally:
        _current.reset(token)


class Carried(Generic[T]):
    """`make`, done once for the request that is counted here, by a thread that may begin with it, or never does."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._uses = _current.get()
        self._lock = threading.Lock()
        self._is_left = False
        self.has_begun = False
        if self._uses is not None:
            self._uses.hold()

    def __call__(self) -> T:
        """Called in the thread. Raises `NobodyWaits`, where that is so by now."""
        with self._lock:
            if self._is_left:
                raise NobodyWaits
            self.has_begun = True
        try:
            with counted_in(self._uses):
                return self._make()
        finally:
            if self._uses is not None:
                self._uses.let_go()

    def leave(self) -> None:
        """Nobody waits for it any more: where no thread has begun, none will."""
        with self._lock:
            never = not (self.has_begun or self._is_left)
            self._is_left = True
        if never and self._uses is not None:
            self._uses.let_go()
