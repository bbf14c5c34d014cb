"""Guesses of all streams: who makes some in the next batch, how many there is room for, and what came of them.

What is guessed, and whether it is worth it, `lookup.py` knows. Used by the worker thread only.
"""

from __future__ import annotations

from collections.abc import Sequence as Items

from runtime.engine.lookup import Lookup, StepCost
from runtime.engine.scheduler import Chunk
from runtime.engine.sequence import Sequence


class Guessing:
    """Gives streams a draft of up to `at_most` tokens each; with 0 none at all."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._lookups: dict[Sequence, Lookup] = {}
        self._step_cost = StepCost()
        self._guess_cost = 0.0
        """Of each guess in the last batch, in the measure of `StepCost.of_guess`."""

    @property
    def is_on(self) -> bool:
        return self._at_most > 0

    def propose(self, streams: Items[Sequence], room: int, n_ctx: int) -> None:
        """Let `streams` guess what comes next, each in a context of `n_ctx` tokens, while `room` cells are left."""
        if not streams:
            return
        cost = self._step_cost.of_guess(len(streams))
        for sequence in streams:
            lookup = self._lookups.get(sequence)
            if lookup is None:
                lookup = self._lookups[sequence] = Lookup(sequence.tokens)
            at_most = min(self._at_most, sequence.tokens_left(n_ctx) - 1, room)
            sequence.draft = lookup.propose(at_most, cost)
            room -= len(sequence.draft)

    def measure(self, chunks: Items[Chunk], seconds: float) -> None:
        """Note that the batch of `chunks` took so long."""
        if any(chunk.count > 1 or not chunk.outputs for chunk in chunks):
            self._guess_cost = self._step_cost.of_guess(len(chunks))  # prompts took their part of the time
        else:
            guesses = sum(len(chunk.draft) for chunk in chunks)
            self._guess_cost = self._step_cost.observe(len(chunks), guesses, seconds)

    def settle(self, sequence: Sequence, drafted: int, accepted: int) -> None:
        """Of `drafted` guesses that were computed for `sequence`, the first `accepted` were right."""
        sequence.draft = ()
        sequence.drafted += drafted
        sequence.accepted += accepted
        self._lookups[sequence].settle(drafted, accepted, self._guess_cost)

    def forget(self, sequence: Sequence) -> None:
        """`sequence` does not run any more, or goes on with other tokens than those it had."""
        sequence.draft = ()
        self._lookups.pop(sequence, None)
