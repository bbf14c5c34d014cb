"""Decides what goes into the next batch: pure policy, no llama.cpp, no clock, no threads.

Each running stream gets its one token first, so that streams keep their pace, and its guesses if it has any; what
room is left is filled with prompts, in order of arrival, but each asker's first before anybody's second, and in chunks,
so that a long prompt cannot hold the others up for longer than one chunk takes. Where many short prompts arrive at
once, those that have their first token let the others come to theirs: every stream in a batch makes llama.cpp's
attention look at that stream's cells for each prompt too, so that together they would all be later. One batch is
computed with one set of adapters: who uses another takes turns.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Items

import msgspec

from runtime.engine.beginnings import Scales
from runtime.engine.sequence import Sequence
from runtime.engine.turns import first_of_each


class Chunk(msgspec.Struct, frozen=True):
    """`count` tokens of `sequence`, from its token number `start` on, go into the batch, and `draft` after them.

    After the last `outputs` of them all the next token is sampled: none where the prompt goes on, else the sequence's
    last token and every guess.
    """

    sequence: Sequence
    start: int
    count: int
    draft: tuple[int, ...] = ()

    @property
    def outputs(self) -> int:
        whole = self.start + self.count == len(self.sequence.tokens)
        return 1 + len(self.draft) if whole else 0


class Limits(msgspec.Struct, frozen=True):
    """In tokens: what a batch may hold, and what it may while streams are running, here or in another model.

    The latter is a micro-batch, llama.cpp's unit: a few tokens more would cost as much as a step of their own. Prompts
    get half of it however many streams there are.
    """

    batch: int
    beside_streams: int


class TextLimits(msgspec.Struct, frozen=True):
    """What one batch of texts to embed may hold: so many texts, of so many tokens together."""

    texts: int
    tokens: int


def plan_batch(
    running: Iterable[Sequence], limits: Limits, last: Scales | None = None, *, beside_others: bool = False
) -> tuple[Chunk, ...]:
    """The next batch for `running`, which is in order of arrival; empty when there is nothing to do.

    A sequence whose next piece is a picture is left out: that is computed by itself. `last` are the scales of the batch
    before, after which other ones come first. `beside_others`: other models wait.
    """
    sequences = _of_next_scales(tuple(running), last)
    streams: list[Sequence] = []
    begun: list[Sequence] = []
    for sequence in sequences:
        if not sequence.is_prefilling:
            streams.append(sequence)
        elif sequence.piece is None:
            begun.append(sequence)
    del streams[limits.batch :]
    prompts = _in_turn(begun)
    in_one_go = not streams and not beside_others
    if len(prompts) > 1 and _ends_two(
        prompts, _room_for_prompts(sum(1 + len(stream.draft) for stream in streams), limits)
    ):
        streams = [stream for stream in streams if not _lets_go_first(stream, limits)]
    room = limits.batch - len(streams)
    chunks = []
    for sequence in streams:
        draft = sequence.draft[:room]
        room -= len(draft)
        chunks.append(Chunk(sequence, sequence.computed, sequence.pending, draft))
    if not in_one_go:
        room = _room_for_prompts(limits.batch - room, limits)
    for sequence in prompts:
        if room > 0:
            chunks.append(Chunk(sequence, sequence.computed, min(sequence.until_stop, room)))
            room -= chunks[-1].count
    return tuple(chunks)


def plan_texts(lengths: Iterable[int], limits: TextLimits) -> int:
    """How many of the texts that wait, with `lengths` in tokens, go into the next batch: in order, one at least."""
    room = limits.tokens
    count = 0
    for length in lengths:
        room -= length
        if count and (room < 0 or count == limits.texts):
            break
        count += 1
    return count


def _in_turn(prompts: Items[Sequence]) -> Items[Sequence]:
    return [prompts[i] for i in first_of_each(prompt.asker for prompt in prompts)] if len(prompts) > 1 else prompts


def _room_for_prompts(streaming: int, limits: Limits) -> int:
    """How many tokens of prompts may go beside `streaming` tokens of streams; none where it is negative."""
    return min(limits.batch - streaming, max(limits.beside_streams - streaming, limits.beside_streams // 2))


def _ends_two(prompts: Items[Sequence], room: int) -> bool:
    """Whether the first two prompts are computed to their ends in `room` tokens: one alone holds up no other."""
    return prompts[0].pending + prompts[1].pending <= room


def _lets_go_first(stream: Sequence, limits: Limits) -> bool:
    """Whether a stream may sit out: its client has read one token only, and it has not waited for a whole batch yet."""
    return stream.generated == 1 and stream.yielded < limits.batch


def _of_next_scales(sequences: tuple[Sequence, ...], last: Scales | None) -> Items[Sequence]:
    """Those that can be computed together: the ones after `last` in the order in which their scales first appear."""
    kinds = list(dict.fromkeys([sequence.scales for sequence in sequences]))
    if len(kinds) < 2:
        return sequences
    turn = kinds[(kinds.index(last) + 1) % len(kinds)] if last in kinds else kinds[0]
    return [sequence for sequence in sequences if sequence.scales == turn]
