"""Which tokens each KV sequence holds, and which of them a new request starts from.

Finished sequences stay as cache until their slot or their room is needed; the least recently used goes first.
A prefix may be taken over from a finished sequence or copied from any other, running ones included: in a unified
pool a copy shares the cells, so it costs no memory and no computing. What was computed with other adapters is of no
use.

Pure bookkeeping: it says what should be done (`Start`), the engine does it. Refuses to know llama.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Tokens
from typing import NamedTuple

import msgspec

from runtime.engine.beginnings import Scales, common_prefix
from runtime.engine.checkpoints import Checkpoint, Checkpoints, longest
from runtime.engine.pool import Pool


class Start(msgspec.Struct, frozen=True):
    """Where a request begins: in KV sequence `slot`, with its first `reuse` tokens already computed.

    With `copy_from`, those tokens must be copied from that KV sequence after `slot` has been emptied. With
    `checkpoint`, the memory has to go back to it then.
    """

    slot: int
    reuse: int
    copy_from: int | None
    checkpoint: Checkpoint | None = None


class _Beginning(NamedTuple):
    """The first `length` tokens of `slot`, gone on from at `checkpoint`, or where they end."""

    slot: int | None
    length: int
    checkpoint: Checkpoint | None


_NOTHING = _Beginning(None, 0, None)

WORTH_WAITING = 32
"""Tokens: a request waits for a prefix that another is computing when that spares it at least so many."""


class _Slot(msgspec.Struct, eq=False):
    """`promised` are the tokens of the prompt that is running there, computed or not."""

    tokens: list[int] = msgspec.field(default_factory=list)
    promised: list[int] = msgspec.field(default_factory=list)
    scales: Scales = ()
    running: bool = False
    last_used: int = 0


class PrefixCache:
    """The `n_slots` KV sequences of one context.

    `holds` asks the memory whether the first so many tokens of a slot can be continued from; where they cannot,
    one of `checkpoints` may be gone back to. `keeps_state` where it is clear beforehand that only whole sequences can:
    recurrent memories cannot drop the end of a sequence.
    """

    def __init__(
        self,
        n_slots: int,
        holds: Callable[[int, int], bool],
        checkpoints: Checkpoints | None = None,
        *,
        keeps_state: bool = False,
    ) -> None:
        self._slots = [_Slot() for _ in range(n_slots)]
        self._pool = Pool(n_slots)
        self._holds = holds
        self._checkpoints = checkpoints
        self._keeps_state = keeps_state
        self._uses = 0

    @property
    def n_slots(self) -> int:
        return len(self._slots)

    @property
    def cells(self) -> int:
        """How many cells of the pool are in use; those that sequences share count once."""
        return self._pool.used

    def tokens(self, slot: int) -> Tokens[int]:
        """What `slot` holds."""
        return self._slots[slot].tokens

    def scales(self, slot: int) -> Scales:
        """The adapters that `slot` was computed with."""
        return self._slots[slot].scales

    def is_running(self, slot: int) -> bool:
        return self._slots[slot].running

    def has_free_slot(self) -> bool:
        return any(not slot.running for slot in self._slots)

    def acquire(
        self,
        prompt: Tokens[int],
        scales: Scales = (),
        *,
        reuse: bool = True,
        wanted: int | None = None,
        give_up: Callable[[int], object] = lambda _slot: None,
    ) -> Start:
        """Mark a slot as running for `prompt` and say what it starts from. There must be a free one: this, if `wanted`.

        At least one token is left to compute, because the next is sampled from its logits. Where most of what the slot
        holds is lost by that, `give_up` is told before.
        """
        target, (source, length, checkpoint) = self._choose(prompt, scales, reuse, wanted)
        slot = self._slots[target]
        left = length if source == target else 0
        if len(slot.tokens) - left >= max(WORTH_WAITING, left):
            give_up(target)
        slot.running = True
        slot.promised = list(prompt)
        slot.tokens = list(prompt[:length])
        slot.scales = scales
        if source is not None and source != target:
            self._pool.copy(source, target, length)
        else:
            self._pool.cut(target, length)
        self._touch(target)
        return Start(target, length, source if source != target and length else None, checkpoint)

    def present(self, prompt: Tokens[int], scales: Scales = ()) -> int:
        """How many tokens of `prompt` would be there already."""
        return self._longest_prefix(prompt, scales).length

    def free_slot(self) -> int:
        """The slot that can be emptied at the least loss. There must be a free one."""
        return self._oldest(i for i, slot in enumerate(self._slots) if not slot.running)

    def idle(self) -> list[int]:
        """The slots that hold something and do not run; the least recently used first."""
        held = [i for i, slot in enumerate(self._slots) if not slot.running and slot.tokens]
        return sorted(held, key=lambda i: self._slots[i].last_used)

    def coming(self, prompt: Tokens[int], scales: Scales = ()) -> tuple[int, int] | None:
        """(slot, tokens) of a running sequence that still computes a beginning of `prompt` worth waiting for.

        Where only whole sequences can be continued from, that is one which will come by the end of that beginning.
        """
        if self._keeps_state and self._checkpoints is None:
            return None
        best, length = -1, 0
        for i, slot in enumerate(self._slots):
            if slot.running and slot.scales == scales and len(slot.tokens) < len(slot.promised):
                common = min(common_prefix(slot.promised, prompt), len(prompt) - 1)
                if common > length and not (self._keeps_state and len(slot.tokens) >= common):
                    best, length = i, common
        if length < WORTH_WAITING or length - self.present(prompt, scales) < WORTH_WAITING:
            return None
        return best, length

    def computed(self, slot: int, tokens: Tokens[int]) -> None:
        """`tokens` have been added to the end of what `slot` holds."""
        self._slots[slot].tokens.extend(tokens)
        self._pool.grow(slot, len(tokens))

    def cut(self, slot: int, length: int) -> None:
        """Only the first `length` tokens of `slot` are left."""
        del self._slots[slot].tokens[length:]
        self._pool.cut(slot, length)

    def put(self, slot: int, tokens: Tokens[int], scales: Scales) -> None:
        """`slot`, which was empty, holds `tokens` now; none of them is shared."""
        self._slots[slot].scales = scales
        self.computed(slot, tokens)
        self._touch(slot)

    def release(self, slot: int) -> None:
        """The sequence in `slot` has finished; it stays as cache."""
        self._slots[slot].running = False
        self._slots[slot].promised.clear()
        self._touch(slot)

    def evict(self) -> int | None:
        """The finished slot whose cache is to be emptied first; None when there is nothing to empty."""
        return next(iter(self.idle()), None)

    def _choose(self, prompt: Tokens[int], scales: Scales, reuse: bool, wanted: int | None) -> tuple[int, _Beginning]:
        """The slot that `prompt` gets, and what it begins from."""
        beginning = self._longest_prefix(prompt, scales, wanted) if reuse else _NOTHING
        return self._target(beginning.slot, beginning.length) if wanted is None else wanted, beginning

    def _longest_prefix(self, prompt: Tokens[int], scales: Scales, wanted: int | None = None) -> _Beginning:
        """The slot that shares the longest usable beginning with `prompt`: of several, `wanted`."""
        best = _NOTHING
        before = self._checkpoints.before(prompt, scales) if self._checkpoints is not None else []
        for i, slot in enumerate(self._slots):
            if slot.scales != scales:
                continue
            length = min(common_prefix(slot.tokens, prompt), len(prompt) - 1)
            is_handier = not slot.running and best.slot != wanted
            if length < best.length or (length == best.length and not is_handier):
                continue
            checkpoint = None
            if not self._can_be_cut(i, length):
                checkpoint = longest(before, length)
                length = checkpoint.length if checkpoint is not None else 0
            if length > best.length or (length == best.length > 0 and is_handier):
                best = _Beginning(i, length, checkpoint)
        return best

    def _can_be_cut(self, slot: int, length: int) -> bool:
        """Whether the first `length` tokens of `slot` can be continued from as they are."""
        is_whole = length == len(self._slots[slot].tokens)
        return (is_whole or not self._keeps_state) and self._holds(slot, length)

    def _target(self, source: int | None, length: int) -> int:
        """Take over a finished source unless most of what it holds would be lost; else the oldest free slot."""
        if source is not None and not self._slots[source].running:
            keeps_most = 2 * length >= len(self._slots[source].tokens)
            others = any(not slot.running for i, slot in enumerate(self._slots) if i != source)
            if keeps_most or not others:
                return source
        return self._oldest(i for i, slot in enumerate(self._slots) if not slot.running and i != source)

    def _oldest(self, free: Iterable[int]) -> int:
        """An empty one of `free`, if there is any."""
        found = min(free, key=lambda i: (bool(self._slots[i].tokens), self._slots[i].last_used), default=None)
        assert found is not None, "there is a free slot"
        return found

    def _touch(self, slot: int) -> None:
        self._uses += 1
        self._slots[slot].last_used = self._uses
