"""Guesses of all streams: who makes some in the next batch, how many there is room for, and what came of them.

The cheaper guess comes first: what `lookup.py` finds in the text, and where it finds nothing, what the draft model says
(`drafting.py`). Both know for themselves whether it is worth it. Used by the worker thread only.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from itertools import takewhile

from runtime.engine.drafting import Drafting, Wanted
from runtime.engine.lookup import Lookup
from runtime.engine.pieces import is_of_piece
from runtime.engine.scheduler import Chunk
from runtime.engine.sequence import Sequence
from runtime.engine.step_cost import StepCost

_STEPS_WITH_GUESSES = 64
"""After so many, one without is taken: what all of them are measured by."""


class Guessing:
    """Gives streams a draft of up to `at_most` tokens each; with 0 none at all.

    Guesses come from the text where it `looks_up`, and from `drafting`, whose steps cost what `cost` learns here.
    """

    def __init__(self, at_most: int, cost: StepCost, *, looks_up: bool, drafting: Drafting | None = None) -> None:
        self._at_most = at_most
        self._step_cost = cost
        self._looks_up = looks_up
        self._drafting = drafting
        self._lookups: dict[Sequence, Lookup] = {}
        self._guess_cost = 0.0
        self._usual_cost = 0.0
        """Of each guess in the last batch, in the measure of `StepCost.of_guess`: as it was, and mostly is."""
        self._with_guesses = 0

    @property
    def is_on(self) -> bool:
        return self._at_most > 0 and (self._looks_up or self._drafting is not None)

    def propose(self, streams: Items[Sequence], room: int, n_ctx: int) -> None:
        """Let `streams` guess what comes next, each in a context of `n_ctx` tokens, and all of them `room` at most."""
        for sequence in streams:
            sequence.draft = ()
        if not streams or self._with_guesses >= _STEPS_WITH_GUESSES:
            return
        cost = self._step_cost.of_guess(len(streams))
        wanted = []
        for sequence in streams:
            at_most = min(self._at_most, sequence.tokens_left(n_ctx) - 1)
            if self._looks_up:
                guesses = self._lookup(sequence).propose(min(at_most, room), cost)
                sequence.draft = tuple(takewhile(lambda token: not is_of_piece(token), guesses))
                room -= len(sequence.draft)
            if not sequence.draft and not sequence.pieces:  # a draft model does not see
                wanted.append(Wanted(sequence, at_most))
        if self._drafting is not None and wanted:
            self._drafting.propose(wanted, len(streams), room)

    def measure(self, chunks: Items[Chunk], seconds: float) -> None:
        """Note that the batch of `chunks` took so long."""
        guesses = sum(len(chunk.draft) for chunk in chunks)
        self._with_guesses = self._with_guesses + 1 if guesses else 0
        if any(chunk.count > 1 or not chunk.outputs for chunk in chunks):
            self._guess_cost = self._step_cost.of_guess(len(chunks))  # prompts took their part of the time
        else:
            self._guess_cost = self._step_cost.observe(len(chunks), guesses, seconds)
        self._usual_cost = self._step_cost.of_guesses(len(chunks), guesses)

    def settle(self, sequence: Sequence, drafted: int, accepted: int) -> None:
        """Of `drafted` guesses that were computed for `sequence`, the first `accepted` were right."""
        sequence.draft = ()
        sequence.drafted += drafted
        sequence.accepted += accepted
        if self._drafting is not None and self._drafting.settle(sequence, drafted, accepted, self._usual_cost):
            return
        self._lookup(sequence).settle(drafted, accepted, self._guess_cost)

    def forget(self, sequence: Sequence) -> None:
        """`sequence` does not run any more, or goes on with other tokens than those it had."""
        sequence.draft = ()
        self._lookups.pop(sequence, None)
        if self._drafting is not None:
            self._drafting.forget(sequence)

    def _lookup(self, sequence: Sequence) -> Lookup:
        lookup = self._lookups.get(sequence)
        if lookup is None:
            lookup = self._lookups[sequence] = Lookup(sequence.tokens)
        return lookup
