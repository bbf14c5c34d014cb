"""Decides what goes into the next batch: pure policy, no llama.cpp, no clock, no threads.

Each running stream gets its one token first, so that streams keep their pace; what room is left is filled with
prompts, in order of arrival and in chunks, so that a long prompt cannot hold the others up for longer than one
chunk takes.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from runtime.engine.sequence import Sequence


class Chunk(msgspec.Struct, frozen=True):
    """`count` tokens of `sequence`, from its token number `start` on, go into the batch.

    With `wants_logits` the last of them is the sequence's last token, so the next one is sampled after it.
    """

    sequence: Sequence
    start: int
    count: int
    wants_logits: bool


class Limits(msgspec.Struct, frozen=True):
    """In tokens: what one batch may hold, and what of it prompts may take while streams are running."""

    batch: int
    prefill_beside_streams: int


def plan_batch(running: Iterable[Sequence], limits: Limits) -> tuple[Chunk, ...]:
    """The next batch for `running`, which is in order of arrival; empty when there is nothing to do."""
    sequences = tuple(running)
    streams = [sequence for sequence in sequences if not sequence.is_prefilling]
    streams = streams[: limits.batch]
    chunks = [_chunk(sequence, sequence.pending) for sequence in streams]
    room = limits.batch - len(streams)
    if streams:
        room = min(room, limits.prefill_beside_streams)
    for sequence in sequences:
        if sequence.is_prefilling and room > 0:
            chunks.append(_chunk(sequence, min(sequence.pending, room)))
            room -= chunks[-1].count
    return tuple(chunks)


def _chunk(sequence: Sequence, count: int) -> Chunk:
    return Chunk(sequence, sequence.computed, count, wants_logits=count == sequence.pending)
