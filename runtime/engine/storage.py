"""What is done with sequences that nobody runs: moved out of the way, or when their room is needed, and fetched again.

Knows the order of things between the pool (`cache.py` says what is in it) and the shelf beside it (`shelf.py`). Used
by the worker thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Tokens
from functools import partial
from typing import TYPE_CHECKING

from runtime.engine.backend import Generator
from runtime.engine.beginnings import Scales, common_prefix
from runtime.engine.cache import WORTH_WAITING, PrefixCache
from runtime.engine.checkpoints import Checkpoint, Checkpoints, longest
from runtime.engine.errors import StateFailed
from runtime.engine.facts import ModelFacts
from runtime.engine.shelf import Kept, Shelf
from runtime.engine.states import NOTHING_WARM, PartialState, SavedSequence, StateFile, Warmth

if TYPE_CHECKING:
    from runtime.engine.disk import Disk, OnDisk

_SHARE = 8
"""Of the weights' size, what may be moved before a batch: each token needs all of them read, so it costs no token."""


class Storage:
    """Keeps `cache` and the memory of `context` in step. Onto a `shelf` without room, nothing is moved.

    What the shelf has no more room for goes to the `disk`, where there is one.

    What was moved can be continued from where it ends, or where there is one of `checkpoints`. `warmth` lies in a file,
    takes no memory, and stays there for whoever needs it next.
    """

    def __init__(
        self,
        context: Generator,
        facts: ModelFacts,
        cache: PrefixCache,
        shelf: Shelf,
        warmth: Warmth = NOTHING_WARM,
        checkpoints: Checkpoints | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._context = context
        self._cache = cache
        self._shelf = shelf
        self._checkpoints = checkpoints
        self._before_a_batch = facts.size // _SHARE
        self._warmth = warmth
        self._facts = facts
        self._disk = disk
        if disk is not None:
            disk.begin(context)

    def empty(self, slot: int) -> None:
        """Forget what `slot` holds, which does not run."""
        self._context.keep_prefix(slot, 0)
        self._cache.cut(slot, 0)

    def evict(self) -> bool:
        """Empty the sequence that has not been used for longest; False when none is only cache."""
        slot = self._cache.evict()
        if slot is None:
            return False
        self.keep(slot)
        self.empty(slot)
        return True

    def keep(self, slot: int) -> int:
        """Put a copy of `slot`, which would be lost else, onto the shelf; returns the bytes of its state, or 0.

        However large: computing it again takes a hundred times as long and more (measured with 300 tokens of SmolLM2
        135M on two busy cores: 3.2 s, and 13 ms for the copy).
        """
        is_worth_it = len(self._cache.tokens(slot)) >= WORTH_WAITING
        return self._copy(slot, self._shelf.capacity) if is_worth_it else 0

    def tidy(self) -> bool:
        """Move one sequence onto the shelf; False when only the one that was used last is left in the pool."""
        return any(self._move(slot, self._shelf.capacity) for slot in self._cache.idle()[:-1])

    def put_aside(self) -> None:
        """Move out of the pool, which ends, what the shelf takes of it; where there is a disk, all, and onto that."""
        for slot in self._cache.idle():
            if not self._move(slot, self._shelf.capacity):
                self._write_slot(slot)
        if self._disk is not None:
            self._write(self._shelf.clear(), waits=True)
            self._disk.wait()

    def make_way(self) -> None:
        """Move onto the shelf what can be moved in no time."""
        left = self._before_a_batch
        for slot in self._cache.idle():
            left -= self._move(slot, left)

    def fetch(self, prompt: Tokens[int], scales: Scales) -> None:
        """Put into the pool what `prompt` begins with, if more of it is on the shelf or warm than in the pool.

        There must be a free slot.
        """
        before = self._checkpoints.before(prompt, scales) if self._checkpoints is not None else []

        def usable(held: int, common: int) -> int:
            if self._continues(held, common):
                return common
            checkpoint = longest(before, common)
            return checkpoint.length if checkpoint is not None else 0

        def usable_when_warm(held: int, common: int) -> int:
            along = max((length for length in self._warmth.checkpoints if length <= common), default=0)
            return max(usable(held, common), along)

        def usable_on_disk(one: OnDisk, common: int) -> int:
            along = max((length for length in one.checkpoints if length <= common), default=0)
            return max(usable(len(one.tokens), common), along)

        def usable_on_shelf(kept: Kept, common: int) -> int:
            return usable(len(kept.tokens), common)

        kept, length = self._shelf.longest_prefix(prompt, scales, usable_on_shelf)
        written, on_disk = None, 0
        if self._disk is not None:
            written, on_disk = self._disk.longest_prefix(prompt, scales, usable_on_disk)
        warm = self._warm_prefix(prompt, scales, usable_when_warm)
        most = max(length, warm, on_disk)
        if most < WORTH_WAITING or most < self._cache.present(prompt, scales) + WORTH_WAITING:
            return
        if written is not None and on_disk > max(length, warm):
            self._put(written.tokens, scales, partial(self._read, written))
        elif warm > length:
            self._put(self._warmth.tokens, scales, self._warm_up)
        elif kept is not None:
            self._shelf.remove(kept)
            self._put(kept.tokens, scales, partial(self._context.set_state, state=kept.state))

    def _continues(self, held: int, length: int) -> bool:
        """Whether a state of `held` tokens can be continued from after `length` of them, once it is in the pool again.

        Of a window no more is written than its last tokens, `window` of them: one more than the next token sees.
        """
        if self._facts.keeps_state:
            return length == held
        return self._facts.window == 0 or held <= self._facts.window or length >= held - 1

    def _warm_prefix(self, prompt: Tokens[int], scales: Scales, usable: Callable[[int, int], int]) -> int:
        """How many tokens of `prompt` need not be computed for it: one is left."""
        warmth = self._warmth
        if warmth.file is None or warmth.scales != scales:
            return 0
        return usable(len(warmth.tokens), min(common_prefix(warmth.tokens, prompt), len(prompt) - 1))

    def _warm_up(self, slot: int) -> bool:
        """Let `slot`, which is empty, hold what is warm; False where the file turns out to be of no use."""
        assert self._warmth.file is not None
        try:
            saved = self._context.restore(slot, self._warmth.file)
        except (StateFailed, OSError):  # damaged, or changed while it was in use: then it is computed, as ever
            self._warmth = NOTHING_WARM
            return False
        self.keep_checkpoints(saved, self._warmth.scales)
        return True

    def _read(self, written: OnDisk, slot: int) -> bool:
        """Let `slot`, which is empty, hold what was written; False where the file turns out to be of no use."""
        assert self._disk is not None
        try:
            saved = self._context.restore(slot, StateFile(written.path))
        except (StateFailed, OSError) as error:
            self._disk.drop(written, str(error))
            return False
        self._disk.used(written)
        self.keep_checkpoints(saved, written.scales)
        return True

    def _write_slot(self, slot: int) -> None:
        if self._disk is None or len(self._cache.tokens(slot)) < WORTH_WAITING:
            return
        state = self._context.state(slot)
        if state is not None:
            self._write([Kept(tuple(self._cache.tokens(slot)), self._cache.scales(slot), state)], waits=True)

    def _write(self, gone: Iterable[Kept], *, waits: bool = False) -> None:
        """Onto the disk, where there is one, what memory has no more room for."""
        if self._disk is None:
            return
        for kept in gone:
            checkpoints = self._checkpoints.along(kept.tokens, kept.scales) if self._checkpoints is not None else []
            by_length = {one.length: one.state for one in reversed(checkpoints)}
            states = tuple(PartialState(length, state) for length, state in by_length.items())
            self._disk.put(kept, states, self._context, waits=waits)

    def keep_checkpoints(self, saved: SavedSequence, scales: Scales) -> None:
        """Keep what was saved with a sequence, so far as it is not there."""
        if self._checkpoints is None:
            return
        there = {one.length for one in self._checkpoints.along(saved.tokens, scales)}
        for one in saved.checkpoints:
            if one.length not in there:
                self._checkpoints.put(Checkpoint(saved.tokens, one.length, scales, one.state))

    def _put(self, tokens: Tokens[int], scales: Scales, fill: Callable[[int], bool]) -> None:
        """Let a free slot hold `tokens`, which `fill` puts there."""
        slot = self._cache.free_slot()
        self.keep(slot)
        self.empty(slot)
        while self._cache.cells + len(tokens) > self._context.n_ctx and self.evict():
            pass
        if fill(slot):
            self._cache.put(slot, tokens, scales)
        else:
            self.empty(slot)

    def _move(self, slot: int, at_most: int) -> int:
        """Move `slot` onto the shelf; returns the bytes of its state, 0 when they are more than `at_most`."""
        moved = self._copy(slot, min(at_most, self._shelf.capacity))
        if moved:
            self.empty(slot)
        return moved

    def _copy(self, slot: int, at_most: int) -> int:
        if not at_most or self._context.state_size(slot) > at_most:
            return 0
        state = self._context.state(slot)
        if state is None:
            return 0
        self._write(self._shelf.put(Kept(tuple(self._cache.tokens(slot)), self._cache.scales(slot), state)))
        return len(state)
