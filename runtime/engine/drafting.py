"""Guesses by a draft model: a smaller one of the same vocabulary says what may come next.

It has a pool of its own, with a sequence for each slot, which follows what runs there: what any of them has read
already is not read again, and wrong guesses are cut off. All streams guess together, one batch for each depth. A prompt
is read in chunks of a micro-batch, so that nobody waits for long.

Knows what the draft model has read. Whether guessing is worth it `worth.py` knows, and what comes of the guesses
`guessing.py`. Used by the worker thread only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence as Items

import msgspec

from runtime.engine.backend import BatchItem, Drafter, Generator, PoolFull, Sampler
from runtime.engine.beginnings import common_prefix
from runtime.engine.errors import EngineError
from runtime.engine.sequence import Sequence
from runtime.engine.settings import ContextSettings
from runtime.engine.step_cost import StepCost
from runtime.engine.types import Sampling
from runtime.engine.worth import Record, Worth

_AT_ONCE = 2
"""Tokens of a stream that are read in the same step in which it guesses: the one that was sampled last, and the guess
before it that nobody has read, because it was the last."""


class Wanted(msgspec.Struct, frozen=True):
    """A stream that may guess up to `at_most` tokens."""

    sequence: Sequence
    at_most: int


class Drafting:
    """The draft model of a model with `vocabulary_size` tokens, whose steps cost `cost`.

    Of the `settings` of that model's context those for drafts count here.
    """

    def __init__(self, drafter: Drafter, settings: ContextSettings, cost: StepCost, vocabulary_size: int) -> None:
        self._context = context = drafter.context
        self._ends_generation = drafter.model.ends_generation
        self._at_least = settings.min_draft
        self._least_probability = settings.least_probability
        self._sampler: Sampler | None = None
        """While any stream runs. It remembers nothing, so one does for all."""
        self._knows = min(vocabulary_size, drafter.model.facts.vocabulary_size)
        self._worth = Worth(cost)
        self._readers = [_Reader(context, slot) for slot in range(context.settings.n_slots)]
        self._records: dict[Sequence, Record] = {}
        self._guessed: set[Sequence] = set()
        self._has_failed = False

    def propose(self, wanted: Items[Wanted], streams: int, room: int) -> None:
        """Let those of `wanted` guess for which it is worth it, beside `streams` in all, `room` tokens at most."""
        self._guessed.clear()
        if self._has_failed:
            return
        if not wanted:
            return
        self._worth.begin(streams, len(wanted), max(max(one.at_most for one in wanted), 1))
        depths: dict[Sequence, int] = {}
        for one in wanted:
            depth = self._depth(one.sequence, min(one.at_most, room))
            if depth:
                depths[one.sequence] = depth
                room -= depth
        try:
            if depths:
                self._guess(depths)
        except PoolFull:
            self._make_room(depths)
        except EngineError:  # the draft model's own: the text goes on without it
            self._has_failed = True

    def settle(self, sequence: Sequence, drafted: int, accepted: int, cost: float) -> bool:
        """Of `drafted` guesses that were computed for `sequence`, the first `accepted` were right.

        Each made the step longer by `cost`, in the measure of `StepCost.of_guess`. False where they were not ours.
        """
        if sequence not in self._guessed:
            return False
        self._worth.settle(self._records[sequence], drafted, accepted, cost)
        return True

    def forget(self, sequence: Sequence) -> None:
        """`sequence` does not run any more, or goes on with other tokens than those it had."""
        self._guessed.discard(sequence)
        self._records.pop(sequence, None)
        if self._sampler is not None and not self._records:
            self._sampler.close()
            self._sampler = None
        for reader in self._readers:
            if reader.of is sequence:
                reader.of = None

    def _depth(self, sequence: Sequence, at_most: int) -> int:
        record = self._records.setdefault(sequence, Record())
        reader = self._reader(sequence)
        if reader.of is not sequence:
            self._take_over(reader, sequence)
        missing = reader.follow(sequence.tokens)
        depth = self._worth.depth(record, max(missing - _AT_ONCE, 0), sequence.generated, at_most)
        if depth and max(sequence.tokens[-missing:]) < self._knows:
            return depth
        self._worth.pass_over(record)
        return 0

    def _reader(self, sequence: Sequence) -> _Reader:
        assert sequence.slot is not None, "streams run in a slot"
        return self._readers[sequence.slot]

    def _take_over(self, reader: _Reader, sequence: Sequence) -> None:
        """Let `reader` begin `sequence` from what any of them has read of it."""
        shared = [common_prefix(other.tokens, sequence.tokens) for other in self._readers]
        longest = max(range(len(shared)), key=shared.__getitem__)
        if shared[longest] > shared[reader.slot]:
            reader.copy(self._readers[longest], shared[longest])
        else:
            reader.go_back(shared[reader.slot])
        reader.of = sequence

    def _guess(self, depths: dict[Sequence, int]) -> None:
        """Read what has been said since, then guess, one token of each stream in a batch. Raises `PoolFull`."""
        items, whole = self._unread(depths)
        guesses: dict[Sequence, list[int]] = {sequence: [] for sequence in whole}
        while items:
            began = time.perf_counter()
            outputs = self._context.decode(items, ())
            for item in items:
                self._readers[item.slot].tokens += item.tokens
            going_on = [sequence for sequence in whole if self._guess_next(sequence, outputs, guesses[sequence])]
            self._note(items, time.perf_counter() - began)
            whole = [sequence for sequence in going_on if len(guesses[sequence]) < depths[sequence]]
            items = [self._item(sequence, guesses[sequence][-1:], 1) for sequence in whole]
        for sequence, tokens in guesses.items():
            if tokens and len(tokens) >= self._at_least:
                sequence.draft = tuple(tokens)
                self._guessed.add(sequence)

    def _unread(self, depths: dict[Sequence, int]) -> tuple[list[BatchItem], list[Sequence]]:
        """A batch of what is to be read, as much as a micro-batch holds, and the streams that can guess after it."""
        room = self._context.settings.n_ubatch
        items, whole = [], []
        for sequence in sorted(depths, key=lambda one: len(one.tokens) - self._reader(one).sure):
            reader = self._reader(sequence)
            reader.cut(reader.sure)
            tokens = sequence.tokens[reader.sure :]
            if room:
                items.append(self._item(sequence, tokens[:room], int(len(tokens) <= room)))
            if len(tokens) <= room:
                whole.append(sequence)
            room -= min(len(tokens), room)
        return items, whole

    def _item(self, sequence: Sequence, tokens: list[int], outputs: int) -> BatchItem:
        reader = self._reader(sequence)
        return BatchItem(reader.slot, len(reader.tokens), tuple(tokens), outputs)

    def _guess_next(self, sequence: Sequence, outputs: dict[int, int], guesses: list[int]) -> bool:
        """One more of `guesses`; False where there can be none after it."""
        token = self._next(outputs[self._reader(sequence).slot])
        if token is None:
            return False
        guesses.append(token)
        return not self._ends_generation(token)

    def _note(self, items: Items[BatchItem], seconds: float) -> None:
        tokens = sum(len(item.tokens) for item in items)
        if tokens > _AT_ONCE * len(items):
            self._worth.note_reading(tokens, seconds)
        else:
            self._worth.note_step(len(items), seconds)

    def _next(self, output: int) -> int | None:
        """What most probably comes next; None where that is not probable enough, or not a token of both."""
        if self._sampler is None:
            n_probs = int(self._least_probability > 0)
            self._sampler = self._context.new_sampler(Sampling(samplers=("top_k",), top_k=1, n_probs=n_probs), ())
        sampled = self._sampler.sample(output)
        if sampled.token >= self._knows:
            return None
        known = sampled.probabilities
        return None if known is not None and known.sampled.probability < self._least_probability else sampled.token

    def _make_room(self, depths: dict[Sequence, int]) -> None:
        """The pool is full, for which nobody need wait: forget what does not guess now, else everything."""
        others = [reader for reader in self._readers if reader.tokens and reader.of not in depths]
        for reader in others or self._readers:
            reader.cut(0)
        if not others:
            self._records.clear()  # to read it all again must be paid for


class _Reader:
    """What a sequence of the draft model's pool holds: `tokens`, of which the first `sure` are those of the stream."""

    def __init__(self, context: Generator, slot: int) -> None:
        self._context = context
        self.slot = slot
        self.of: Sequence | None = None
        self.tokens: list[int] = []
        self.sure = 0

    def follow(self, said: Items[int]) -> int:
        """How many of `said` are still to be read: the last one at least."""
        held, most = self.tokens, min(len(self.tokens), len(said) - 1)
        self.sure = min(self.sure, most)
        while self.sure < most and held[self.sure] == said[self.sure]:
            self.sure += 1
        return len(said) - self.sure

    def cut(self, length: int) -> None:
        """Hold the first `length` tokens and no more; none where the memory cannot be cut.

        A window may have lost what a few guesses were put in the place of: that makes the next ones no wrong text.
        """
        if length < len(self.tokens):
            kept = length if self._context.keep_prefix(self.slot, length) else 0
            if kept < length:
                self._context.keep_prefix(self.slot, 0)
            del self.tokens[kept:]
            self.sure = min(self.sure, kept)

    def go_back(self, length: int) -> None:
        """The same, and none either where what comes next would not see all that it should."""
        self.cut(length if self._context.holds(self.slot, length) else 0)
        self.sure = len(self.tokens)

    def copy(self, other: _Reader, length: int) -> None:
        """Hold the first `length` tokens of `other` instead of what is held; none where that is not possible."""
        self.cut(0)
        if self._context.copy_prefix(other.slot, self.slot, length):
            self.tokens = other.tokens[:length]
        self.go_back(length)
