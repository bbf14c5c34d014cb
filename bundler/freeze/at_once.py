"""Steps that do not wait for each other, done at the same time and shown as one.

Knows threads, and how long the steps take compared with each other. Refuses to know what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager
from threading import Lock

from bundler.freeze.process import end_all
from bundler.progress import Advance, Progress, Unit

_WHOLE = 1000


def at_once(*steps: Callable[[], object]) -> None:
    """Do all `steps`, each in a thread of its own. When one fails, or Ctrl-C comes, what the others run is ended first.

    Raises what the first one raised.
    """
    with ThreadPoolExecutor(len(steps)) as pool:
        running = [pool.submit(step) for step in steps]
        try:
            for step in as_completed(running):
                step.result()
        except BaseException:
            with end_all():
                wait(running)
            raise


@contextmanager
def one_line(title: str, phases: Sequence[Mapping[str, float]], progress: Progress) -> Iterator[Progress]:
    """One line of progress for all steps that the block shows, from whatever thread.

    `phases` follow one another; each has the titles of its steps, and the seconds that they take. Of a step that is not
    done, since its result is there, nobody is told: it counts no more once a later phase has begun. Steps without an
    entry are taken for done in a moment.
    """
    with progress.step(title, _WHOLE, "share") as advance:
        yield _Whole(phases, advance, progress.say)


class _Whole:
    def __init__(self, phases: Sequence[Mapping[str, float]], advance: Advance, say: Callable[[str], None]) -> None:
        self._phases = phases
        self._counted = {name: seconds for phase in phases for name, seconds in phase.items()}
        self._reached = dict.fromkeys(self._counted, 0.0)
        self._advance = advance
        self._shown = 0
        self._say = say
        self._lock = Lock()

    @contextmanager
    def step(self, title: str, total: int | None, unit: Unit) -> Iterator[Advance]:  # noqa: ARG002
        self._begin(title)
        done = 0

        def advance(amount: int) -> None:
            nonlocal done
            done += amount
            if total:
                self._reach(title, min(1.0, done / total))

        yield advance
        self._reach(title, 1.0)

    def say(self, text: str) -> None:
        with self._lock:
            self._say(text)

    def _begin(self, title: str) -> None:
        """What comes before its phase, and has not been done, is not going to be."""
        phase = next((number for number, phase in enumerate(self._phases) if title in phase), 0)
        with self._lock:
            for earlier in self._phases[:phase]:
                for name in earlier:
                    self._counted[name] *= self._reached[name]
                    self._reached[name] = 1.0

    def _reach(self, title: str, share: float) -> None:
        with self._lock:
            if title in self._reached:
                self._reached[title] = max(self._reached[title], share)
            whole = sum(self._counted.values())
            done = sum(seconds * self._reached[name] for name, seconds in self._counted.items())
            now = int(_WHOLE * done / whole) if whole else 0
            self._advance(max(0, now - self._shown))
            self._shown = max(self._shown, now)
