"""A model that is served: its weights, the engine that runs it, and how far it is loaded.

Refuses to know how it is loaded (`loading.py`), and who asks it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.engine.engine import Engine
from runtime.engine.weights import Weights
from runtime.errors import LoafError


class ModelUnusable(LoafError):
    """One of several models could not be loaded; `name` says which, `error` why."""

    def __init__(self, name: str, error: LoafError) -> None:
        super().__init__(f"{name}: {error.message}", error.hint)
        self.name = name
        self.error = error


class WeightsChanged(LoafError):
    """`file`, from which a model was loaded, is another one by now: what was decided for it may not hold any more."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} has changed since the launch", "Start the server again.")
        self.file = file


class Loading:
    """How much of a model's weights has been read, and the way to end it.

    One thread writes `share`, from 0 to 1; any may read it, and set `ended`.
    """

    def __init__(self) -> None:
        self.share = 0.0
        self.ended = threading.Event()

    def report(self, share: float) -> None:
        """Called by who reads."""
        self.share = share


class ServedModel(msgspec.Struct, frozen=True):
    """A model being served: its name for clients, its weights, and the engine that runs it.

    `size` of the weights in bytes, `digest` their SHA-256 in hex: "" where no bundle has it. `files` are all that it is
    loaded from, and what lies beside it in the bundle.
    """

    name: str
    weights: Weights
    size: int
    digest: str
    engine: Engine
    loading: Loading
    files: tuple[Path, ...] = ()

    def stop(self) -> None:
        """End loading or generating. Returns at once; `engine.join` waits."""
        self.loading.ended.set()
        self.engine.stop()


def loaded_share(served: Sequence[ServedModel]) -> float:
    """How much of all their weights has been read, from 0 to 1."""
    return sum(one.loading.share * one.size for one in served) / max(sum(one.size for one in served), 1)
