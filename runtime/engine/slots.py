"""What can be done with a KV sequence that no request runs in: save it, restore it, erase it.

Done by the worker thread between two steps. Knows files only as paths.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from runtime.engine.backend import Generator
from runtime.engine.errors import SlotBusy, StateFailed, UnknownSlot
from runtime.engine.generating import Generations
from runtime.engine.states import SavedSequence, StateFile


class SavedState(msgspec.Struct, frozen=True):
    """A state in a file: so many tokens, so many bytes."""

    tokens: int
    size: int


def save_slot(generations: Generations, context: Generator, slot: int, path: Path) -> SavedState:
    """Write what `slot` holds to `path`, and what it can go back to.

    Raises `SlotBusy`, `UnknownSlot`, `StateFailed`, `OSError`.
    """
    _must_be_free(generations, slot)
    tokens = tuple(generations.cache.tokens(slot))
    if not tokens:
        raise StateFailed(path, f"cannot be written: slot {slot} holds nothing")
    saved = SavedSequence(tokens, generations.prefixes.checkpoints_along(tokens, generations.cache.scales(slot)))
    return SavedState(len(tokens), context.save(slot, saved, path))


def restore_slot(
    generations: Generations, context: Generator, slot: int, path: Path, scales: tuple[float, ...]
) -> SavedState:
    """Let `slot` hold what was saved to `path`, in place of other cache: computed with the adapters at `scales`.

    Raises `SlotBusy`, `UnknownSlot`, `StateFailed`, `OSError`. After an error `slot` is empty.
    """
    _must_be_free(generations, slot)
    file = StateFile(path)
    size = path.stat().st_size
    needed = len(context.saved_tokens(file))
    generations.empty(slot)
    while generations.cache.cells + needed > context.n_ctx and generations.make_cache_room():
        pass
    try:
        saved = context.restore(slot, file)
    except StateFailed:
        generations.empty(slot)
        raise
    generations.cache.put(slot, saved.tokens, scales)
    generations.prefixes.keep_checkpoints(saved, scales)
    return SavedState(len(saved.tokens), size)


def erase_slot(generations: Generations, _context: Generator, slot: int) -> int:
    """Forget what `slot` holds; returns how many tokens that was. Raises `SlotBusy`, `UnknownSlot`."""
    _must_be_free(generations, slot)
    held = len(generations.cache.tokens(slot))
    generations.empty(slot)
    return held


def _must_be_free(generations: Generations, slot: int) -> None:
    if not 0 <= slot < generations.cache.n_slots:
        raise UnknownSlot(slot, generations.cache.n_slots)
    if generations.cache.is_running(slot):
        raise SlotBusy(slot)
