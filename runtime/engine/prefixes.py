"""What a request starts from and goes back to: the beginnings of texts that are computed already, wherever they lie.

Knows the order of things between the pool (`cache.py` says what is in it), what was moved out of it (`storage.py`) and
the states that are kept along a text (`checkpoints.py`), and keeps all of them and the memory in step. Used by the
worker thread only.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Tokens
from typing import TYPE_CHECKING

import msgspec

from runtime.engine.backend import Generator
from runtime.engine.beginnings import Scales
from runtime.engine.cache import PrefixCache
from runtime.engine.checkpoints import Checkpoint, CheckpointLimits, Checkpoints, longest
from runtime.engine.facts import ModelFacts
from runtime.engine.pieces import position_after
from runtime.engine.sequence import Sequence
from runtime.engine.shelf import Shelf
from runtime.engine.states import NOTHING_WARM, PartialState, SavedSequence, Warmth
from runtime.engine.storage import Storage

if TYPE_CHECKING:
    from runtime.engine.disk import Disk


class PutAside(msgspec.Struct, frozen=True):
    """What is kept of prefixes without a context, for one that is made as that was."""

    shelf: Shelf
    checkpoints: Checkpoints | None


class Prefixes:
    """Those in the memory of `context`, and beside it: in up to `shelf_bytes`, and within `limits`.

    It begins with what an earlier one has put `aside`; what memory has no room for goes to the `disk`.
    """

    def __init__(
        self,
        context: Generator,
        facts: ModelFacts,
        *,
        shelf_bytes: int = 0,
        limits: CheckpointLimits | None = None,
        warmth: Warmth = NOTHING_WARM,
        aside: PutAside | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._context = context
        self._facts = facts
        self._shelf = Shelf(shelf_bytes) if aside is None else aside.shelf
        self._checkpoints = None if aside is None else aside.checkpoints
        if aside is None and (facts.keeps_state or facts.window):
            self._checkpoints = Checkpoints(limits or CheckpointLimits(), context.settings.n_ubatch)
        self.cache = PrefixCache(
            context.settings.n_slots, self._holds, self._checkpoints, keeps_state=facts.keeps_state
        )
        self.storage = Storage(context, facts, self.cache, self._shelf, warmth, self._checkpoints, disk)

    def put_aside(self) -> PutAside:
        """What can be kept when the context is closed. Nothing runs, and nothing is begun any more."""
        self.storage.put_aside()
        return PutAside(self._shelf, self._checkpoints)

    def is_coming(self, sequence: Sequence, running: Iterable[Sequence]) -> bool:
        """Whether one of `running` still computes a beginning of `sequence` that is worth waiting for.

        It stops where both part, if the memory could not go back to there later.
        """
        coming = self.cache.coming(sequence.tokens, sequence.scales)
        if coming is None or self._checkpoints is None:
            return coming is not None
        slot, length = coming
        if not self._checkpoints.may_fit(length):
            return not self._facts.keeps_state
        for other in running:
            if other.slot == slot and length not in other.stops:
                other.stops = tuple(sorted((*other.stops, length)))
        return True

    def begin(self, sequence: Sequence) -> None:
        """Give `sequence` a slot, and whatever prefix of it is computed already. There must be a free slot."""
        request, tokens = sequence.request, sequence.tokens
        if request.reuse_prefix:
            self.storage.fetch(tokens, sequence.scales)
        start = self.cache.acquire(
            tokens, sequence.scales, reuse=request.reuse_prefix, wanted=request.slot, give_up=self.storage.keep
        )
        sequence.slot, sequence.computed = start.slot, start.reuse
        if self._checkpoints is not None:
            sequence.stops = self._checkpoints.stops(len(request.prompt), request.turns)
        if start.copy_from is not None:
            self._context.keep_prefix(start.slot, 0)
            if not self._context.copy_prefix(start.copy_from, start.slot, sequence.position(start.reuse)):
                self._forget(sequence)
                return
        if start.checkpoint is not None:
            self._go_back(sequence, start.checkpoint)
        elif start.copy_from is None:
            self.cut(sequence, start.reuse)

    def cut(self, sequence: Sequence, length: int) -> None:
        """Let the memory keep the first `length` tokens of a running sequence, or as many of them as it can."""
        slot, place = _slot(sequence), sequence.position(length)
        # A sliding window drops the end of anything, and says nothing of what is missing then: hence `holds`.
        if not length or (self._context.holds(slot, place) and self._context.keep_prefix(slot, place)):
            if not length:
                self._context.keep_prefix(slot, 0)
            self.cache.cut(slot, length)
            sequence.computed = length
            return
        checkpoint = None
        if self._checkpoints is not None:
            kept = self._checkpoints.before(sequence.tokens, sequence.scales)
            checkpoint = longest(kept, length)
        if checkpoint is None:
            self._context.keep_prefix(slot, 0)
            self._forget(sequence)
        else:
            self._go_back(sequence, checkpoint)

    def computed(self, sequence: Sequence, tokens: list[int]) -> None:
        """`tokens` have been added to the end of what the memory holds of `sequence`."""
        self.cache.computed(_slot(sequence), tokens)
        sequence.computed += len(tokens)

    def take_checkpoint(self, sequence: Sequence) -> None:
        """Keep the state that `sequence` is in, if that is worth going back to."""
        if self._checkpoints is None:
            return
        prompt, length = sequence.request.prompt, sequence.computed
        if length >= len(prompt) or sequence.shifted:
            return
        if not self._checkpoints.is_due(prompt, sequence.scales, length, is_stop=length in sequence.stops):
            return
        state = self._context.checkpoint(_slot(sequence))
        if state is not None:
            self._checkpoints.put(Checkpoint(prompt, length, sequence.scales, state))

    def _holds(self, slot: int, length: int) -> bool:
        """Whether the first `length` tokens of `slot` can be continued from."""
        tokens = self.cache.tokens(slot)
        return self._context.holds(slot, position_after(tokens, length) if self._facts.skips_positions else length)

    def checkpoints_along(self, tokens: Tokens[int], scales: Scales) -> tuple[PartialState, ...]:
        """What can be gone back to from `tokens`, ascending; with a memory that can be cut there is nothing."""
        kept = self._checkpoints.along(tokens, scales) if self._checkpoints is not None else []
        by_length = {one.length: one.state for one in reversed(kept)}
        return tuple(PartialState(length, state) for length, state in by_length.items())

    def keep_checkpoints(self, saved: SavedSequence, scales: Scales) -> None:
        """Keep what was saved with a sequence that is in the pool now."""
        self.storage.keep_checkpoints(saved, scales)

    def _go_back(self, sequence: Sequence, checkpoint: Checkpoint) -> None:
        assert self._checkpoints is not None
        slot = _slot(sequence)
        if self._context.go_back(slot, sequence.position(checkpoint.length), checkpoint.state):
            self._checkpoints.used(checkpoint)
            self.cache.cut(slot, checkpoint.length)
            sequence.computed = checkpoint.length
        else:
            self._forget(sequence)

    def _forget(self, sequence: Sequence) -> None:
        """The memory holds nothing of `sequence`."""
        self.cache.cut(_slot(sequence), 0)
        sequence.computed = 0


def _slot(sequence: Sequence) -> int:
    assert sequence.slot is not None, "the sequence is not running"
    return sequence.slot
