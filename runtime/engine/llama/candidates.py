"""The tokens that may come next, with their logits, as llama.cpp's samplers take them.

Filled without numpy: a strided copy between two memory views runs as fast as the memory does.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

from runtime.engine.types import TokenProbability

_FLOATS_PER_TOKEN = 3
"""llama_token_data in llama.h: an id, a logit and a probability, four bytes each."""


class Candidates:
    """The whole vocabulary after output number `output` of `context`."""

    def __init__(self, lib: Any, context: Any, output: int, n_vocab: int) -> None:
        self._lib = lib
        self._n_vocab = n_vocab
        logits = lib.llama_get_logits_ith(context, output)
        self._logits = _as_floats((ctypes.c_float * n_vocab).from_address(ctypes.addressof(logits.contents)))
        self._data = (lib.llama_token_data * n_vocab)()
        self.reset()

    def reset(self) -> None:
        """As before anything was applied."""
        ctypes.memmove(self._data, _token_ids(self._lib.llama_token_data, self._n_vocab), ctypes.sizeof(self._data))
        _as_floats(self._data)[1::_FLOATS_PER_TOKEN] = self._logits
        self._array = _array_of(self._lib, self._data, self._n_vocab)

    def apply(self, sampler: Any) -> None:
        """Let `sampler` change, sort, drop and select."""
        self._lib.llama_sampler_apply(sampler, ctypes.byref(self._array))

    def ban(self, token: int) -> None:
        """Let `token` not be chosen, while nothing has been sorted or dropped."""
        self._data[token].logit = float("-inf")

    def leave_out(self, tokens: Sequence[int]) -> None:
        """Drop `tokens`, which are in ascending order, while nothing has been sorted or dropped."""
        for token in reversed(tokens):
            self._array.size -= 1
            self._data[token] = self._data[self._array.size]

    def selected(self) -> int:
        """The id of the token that was selected."""
        assert 0 <= self._array.selected < self._array.size, "the chain ends with a sampler that selects"
        return int(self._array.data[self._array.selected].id)

    def has_selected(self) -> bool:
        """Whether a chain has been applied that selects."""
        return bool(self._array.selected >= 0)

    def selected_probability(self) -> float:
        """What the last sampler of the chain gave the token that it selected."""
        return float(self._array.data[self._array.selected].p)

    def any_left(self) -> bool:
        """Whether any token has a logit above minus infinity."""
        return max(_as_floats(self._data)[1 : _FLOATS_PER_TOKEN * self._array.size : _FLOATS_PER_TOKEN]) > float("-inf")

    def probability(self, token: int) -> float:
        """Of a token, while nothing has been sorted or dropped."""
        return float(self._data[token].p)

    def top(self, n: int) -> tuple[TokenProbability, ...]:
        """The `n` most probable of what is left, best first. Drops the others."""
        top_k = self._lib.llama_sampler_init_top_k(min(n, self._array.size))
        self._array.sorted = False
        self.apply(top_k)
        self._lib.llama_sampler_free(top_k)
        best = (self._array.data[i] for i in range(min(n, self._array.size)))
        return tuple(TokenProbability(int(data.id), float(data.p)) for data in best)

    @staticmethod
    def allows(lib: Any, grammar: Any, token: int) -> bool:
        """Whether `grammar` lets `token` come next."""
        data = (lib.llama_token_data * 1)((token, 1.0, 0.0))
        array = _array_of(lib, data, 1)
        lib.llama_sampler_apply(grammar, ctypes.byref(array))
        return bool(data[0].logit > float("-inf"))


def _array_of(lib: Any, data: Any, size: int) -> Any:
    return lib.llama_token_data_array(ctypes.cast(data, lib.llama_token_data_p), size, -1, False)


def _as_floats(data: Any) -> memoryview[float]:
    return memoryview(data).cast("B").cast("f")


@functools.lru_cache(maxsize=4)
def _token_ids(token_data: Any, n_vocab: int) -> Any:
    """Every token's id, with no logit yet; one per vocabulary."""
    return (token_data * n_vocab)(*((token, 0.0, 0.0) for token in range(n_vocab)))
