"""Which tokens each KV sequence holds, and which of them a new request starts from.

Finished sequences stay as cache until their slot or their room is needed; the least recently used goes first.
A prefix may be taken over from a finished sequence or copied from any other, running ones included: in a unified
pool a copy shares the cells, so it costs no memory and no computing.

Pure bookkeeping: it says what should be done (`Start`), the engine does it. Refuses to know llama.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence as Tokens

import msgspec


class Start(msgspec.Struct, frozen=True):
    """Where a request begins: in KV sequence `slot`, with its first `reuse` tokens already computed.

    With `copy_from`, those tokens must be copied from that KV sequence after `slot` has been emptied.
    """

    slot: int
    reuse: int
    copy_from: int | None


WORTH_WAITING = 32
"""Tokens: a request waits for a prefix that another is computing when that spares it at least so many."""


class _Slot(msgspec.Struct, eq=False):
    """`promised` are the tokens of the prompt that is running there, computed or not."""

    tokens: list[int] = msgspec.field(default_factory=list)
    promised: list[int] = msgspec.field(default_factory=list)
    running: bool = False
    last_used: int = 0


class PrefixCache:
    """The `n_slots` KV sequences of one context.

    `partial` tells whether the memory can drop the end of a sequence: recurrent ones cannot, there only a
    whole sequence can be continued.
    """

    def __init__(self, n_slots: int, *, partial: bool) -> None:
        self._slots = [_Slot() for _ in range(n_slots)]
        self._partial = partial
        self._uses = 0

    def has_free_slot(self) -> bool:
        return any(not slot.running for slot in self._slots)

    def acquire(self, prompt: Tokens[int], *, reuse: bool) -> Start:
        """Mark a slot as running for `prompt` and say what it starts from. There must be a free one.

        At least one token is left to compute, because the next is sampled from its logits.
        """
        source, length = self._longest_prefix(prompt) if reuse else (None, 0)
        target = self._target(source, length)
        self._slots[target].running = True
        self._slots[target].promised = list(prompt)
        self._slots[target].tokens = list(prompt[:length])
        self._touch(target)
        return Start(target, length, source if source != target and length else None)

    def is_coming(self, prompt: Tokens[int]) -> bool:
        """Whether a running sequence is still computing a beginning of `prompt` that is worth waiting for."""
        if not self._partial:
            return False
        unfinished = (slot for slot in self._slots if slot.running and len(slot.tokens) < len(slot.promised))
        coming = max((common_prefix(slot.promised, prompt) for slot in unfinished), default=0)
        if coming < WORTH_WAITING:
            return False
        _source, present = self._longest_prefix(prompt)
        return min(coming, len(prompt) - 1) - present >= WORTH_WAITING

    def computed(self, slot: int, tokens: Tokens[int]) -> None:
        """`tokens` have been added to the end of what `slot` holds."""
        self._slots[slot].tokens.extend(tokens)

    def release(self, slot: int) -> None:
        """The sequence in `slot` has finished; it stays as cache."""
        self._slots[slot].running = False
        self._slots[slot].promised.clear()
        self._touch(slot)

    def forget(self, slot: int) -> None:
        """`slot` has been emptied."""
        self._slots[slot].tokens.clear()

    def evict(self) -> int | None:
        """The finished slot whose cache is to be emptied first; None when there is nothing to empty."""
        cached = [i for i, slot in enumerate(self._slots) if not slot.running and slot.tokens]
        return min(cached, key=lambda i: self._slots[i].last_used, default=None)

    def _longest_prefix(self, prompt: Tokens[int]) -> tuple[int | None, int]:
        """(slot, tokens) of the slot that shares the longest usable beginning with `prompt`."""
        best: int | None = None
        best_length = 0
        for i, slot in enumerate(self._slots):
            length = min(common_prefix(slot.tokens, prompt), len(prompt) - 1)
            if not self._partial and (slot.running or length < len(slot.tokens)):
                continue
            if length > best_length or (length == best_length > 0 and not slot.running):
                best, best_length = i, length
        return best, best_length

    def _target(self, source: int | None, length: int) -> int:
        """Take over a finished source unless most of what it holds would be lost; else the oldest free slot."""
        if source is not None and not self._slots[source].running:
            keeps_most = 2 * length >= len(self._slots[source].tokens)
            others = any(not slot.running for i, slot in enumerate(self._slots) if i != source)
            if keeps_most or not others:
                return source
        free = [i for i, slot in enumerate(self._slots) if not slot.running and i != source]
        assert free, "acquire() needs a free slot"
        return min(free, key=lambda i: (bool(self._slots[i].tokens), self._slots[i].last_used))

    def _touch(self, slot: int) -> None:
        self._uses += 1
        self._slots[slot].last_used = self._uses


def common_prefix(a: Tokens[int], b: Tokens[int]) -> int:
    """How many tokens `a` and `b` begin with in common."""
    length = min(len(a), len(b))
    if list(a[:length]) == list(b[:length]):
        return length
    return next(i for i in range(length) if a[i] != b[i])
