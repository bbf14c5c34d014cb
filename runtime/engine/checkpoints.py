"""States to go back to, where a memory cannot be cut: which are taken, which are kept, and which is used.

A recurrent state is that of a whole text, and a sliding window forgets what is behind it: from the middle of either
nothing can be continued, unless its state there has been kept. A checkpoint is that state, and no more: the cells of
other layers lie where the sequence lies, so it is of use to whoever has those, and shared by all that begin alike.

Pure policy, in tokens and bytes. Refuses to know what a state consists of, and how it is taken and put back.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from collections.abc import Sequence as Tokens

import msgspec

from runtime.engine.beginnings import Scales, common_prefix

BEFORE_THE_END = 4
"""Tokens: what a template writes last, an opened thought say, is not what it writes of a turn that has been."""

_SHORTEST = 32
"""Tokens: fewer are computed as quickly as gone back to."""

_MOST = 256
"""Checkpoints of all texts; each new request is compared with them."""


class CheckpointLimits(msgspec.Struct, frozen=True):
    """`count` checkpoints along one text, 0 for none, `min_step` tokens apart where nothing else speaks for them.

    All together take `size` bytes at most. llama-server's `--ctx-checkpoints` and `--checkpoint-min-step`, with its
    defaults.
    """

    count: int = 32
    min_step: int = 8192
    size: int = 256 * 2**20


class Checkpoint(msgspec.Struct, frozen=True, eq=False):
    """The backend's `state` after the first `length` of `tokens`, computed with the adapters at `scales`."""

    tokens: Tokens[int]
    length: int
    scales: Scales
    state: memoryview


class Checkpoints:
    """Those that are kept, in the order in which they were last of use. `n_ubatch`: llama.cpp's micro-batch."""

    def __init__(self, limits: CheckpointLimits, n_ubatch: int) -> None:
        self._limits = limits
        self._offsets = (BEFORE_THE_END + n_ubatch, BEFORE_THE_END)
        self._kept: list[Checkpoint] = []
        self._passed: set[Checkpoint] = set()
        """Those along whose text there is a later one, which most will go on from."""
        self._shortest_refused: int | None = None if limits.count and limits.size else 0
        """Tokens of which a state was larger than all that may be kept: those of more are no smaller."""

    @property
    def size(self) -> int:
        """Bytes of the states."""
        return sum(len(one.state) for one in self._kept)

    @property
    def count(self) -> int:
        return len(self._kept)

    def stops(self, n_prompt: int, turns: Iterable[int] = ()) -> tuple[int, ...]:
        """Where the computing of a prompt of so many tokens stops, for a checkpoint to be taken; ascending.

        Shortly before its end, from where its answer is gone on from; a micro-batch before that, for what is edited
        late; and at `turns`, where somebody says that a turn begins which may be asked anew.
        """
        wanted = {*turns, *(n_prompt - offset for offset in self._offsets)}
        return tuple(sorted(stop for stop in wanted if _SHORTEST <= stop < n_prompt and self.may_fit(stop)))

    def is_due(self, tokens: Tokens[int], scales: Scales, length: int, *, is_stop: bool) -> bool:
        """Whether to take one after the first `length` of `tokens`: at stops, and where the last is far behind."""
        if not self.may_fit(length):
            return False
        last = max((one.length for one in self._along(tokens, scales, length)), default=0)
        return last < length if is_stop else length - last >= max(self._limits.min_step, _SHORTEST)

    def put(self, new: Checkpoint) -> bool:
        """Keep it, and let go of what its room is needed for; False where it is too large to be kept."""
        limits = self._limits
        if len(new.state) > limits.size:
            self._shortest_refused = new.length
            return False
        before = self._along(new.tokens, new.scales, new.length - 1)
        for one in _too_many(before, new, limits):
            self._drop(one)
        self._passed.update(one for one in before if one in self._kept)
        while self.size + len(new.state) > limits.size or len(self._kept) >= _MOST:
            self._drop(next((one for one in self._kept if one in self._passed), self._kept[0]))
        self._kept.append(new)
        return True

    def along(self, tokens: Tokens[int], scales: Scales) -> list[Checkpoint]:
        """Those of `tokens` themselves, the longest first."""
        return self._along(tokens, scales, len(tokens))

    def before(self, prompt: Tokens[int], scales: Scales) -> list[Checkpoint]:
        """Those that `prompt` can go on from, the longest first. One token at least is left to compute."""
        return self._along(prompt, scales, len(prompt) - 1)

    def used(self, checkpoint: Checkpoint) -> None:
        """Somebody has gone back to it."""
        self._kept.remove(checkpoint)
        self._kept.append(checkpoint)

    def may_fit(self, length: int) -> bool:
        """Whether any is taken of so many tokens."""
        return self._shortest_refused is None or length < self._shortest_refused

    def _along(self, tokens: Tokens[int], scales: Scales, at_most: int) -> list[Checkpoint]:
        """Those that `tokens` begin like, of `at_most` tokens; the longest first."""
        common: dict[int, int] = {}  # by text, of which there are fewer than checkpoints
        found = []
        for one in self._kept:
            if one.scales != scales or one.length > at_most:
                continue
            if id(one.tokens) not in common:
                common[id(one.tokens)] = common_prefix(one.tokens, tokens)
            if common[id(one.tokens)] >= one.length:
                found.append(one)
        return sorted(found, key=lambda one: -one.length)

    def _drop(self, checkpoint: Checkpoint) -> None:
        self._kept.remove(checkpoint)
        self._passed.discard(checkpoint)


def longest(checkpoints: Iterable[Checkpoint], at_most: int) -> Checkpoint | None:
    """The first of `checkpoints`, the longest first, that has no more than so many tokens."""
    return next((one for one in checkpoints if one.length <= at_most), None)


def _too_many(before: list[Checkpoint], new: Checkpoint, limits: CheckpointLimits) -> list[Checkpoint]:
    """Those along the text of `new` that go, so that no more than `count` are there with it.

    First those that follow another closely, unless they were taken of the same prompt; then the shortest. As
    llama-server does it (`create_checkpoint` in tools/server/server-context.cpp).
    """
    excess = len(before) + 1 - limits.count
    if excess <= 0:
        return []
    shortest_first = before[::-1]
    close = [
        one
        for previous, one in itertools.pairwise(shortest_first)
        if one.tokens is not new.tokens and one.length <= previous.length + limits.min_step
    ]
    others = [one for one in shortest_first if one not in close]
    return [*close, *others][:excess]
