"""A `llama_batch` over arrays of our own, filled column by column.

Through the pointers of `llama_batch_init` each token would cost five lookups in Python.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from runtime.engine.backend import BatchItem


class Batch:
    """Room for `capacity` tokens, each of one sequence."""

    def __init__(self, lib: Any, capacity: int) -> None:
        self._tokens = (lib.llama_token * capacity)()
        self._positions = (lib.llama_pos * capacity)()
        self._slots = (lib.llama_seq_id * capacity)()
        self._counts = (ctypes.c_int32 * capacity)(*([1] * capacity))
        self._outputs: Any = (ctypes.c_int8 * capacity)()
        self._last_positions: list[int] = []
        width = ctypes.sizeof(lib.llama_seq_id)
        first = ctypes.addressof(self._slots)
        self._slot_pointers = (ctypes.c_void_p * capacity)(*range(first, first + width * capacity, width))
        self.handle = lib.llama_batch(
            n_tokens=0,
            token=ctypes.cast(self._tokens, ctypes.POINTER(lib.llama_token)),
            embd=None,
            pos=ctypes.cast(self._positions, ctypes.POINTER(lib.llama_pos)),
            n_seq_id=ctypes.cast(self._counts, ctypes.POINTER(ctypes.c_int32)),
            seq_id=ctypes.cast(self._slot_pointers, ctypes.POINTER(ctypes.POINTER(lib.llama_seq_id))),
            logits=ctypes.cast(self._outputs, ctypes.POINTER(ctypes.c_int8)),
        )

    def fill(self, items: Sequence[BatchItem]) -> dict[int, int]:
        """Let it hold `items` and nothing else, with logits or vectors after the last `outputs` of each.

        Returns {slot: index of the first of its outputs, if it has any}.
        """
        tokens: list[int] = []
        positions: list[int] = []
        slots: list[int] = []
        flags: list[int] = []
        firsts: dict[int, int] = {}
        for item in items:
            n, outputs = len(item.tokens), item.outputs
            tokens += item.tokens
            if n == 1:  # the next token of a stream, as nearly all are
                positions.append(item.position)
                slots.append(item.slot)
                flags.append(outputs)
            else:
                positions += range(item.position, item.position + n)
                slots += [item.slot] * n
                flags += [0] * (n - outputs) + [1] * outputs
            if outputs:
                firsts[item.slot] = len(tokens) - outputs
        end = len(tokens)
        self._tokens[:end] = tokens
        self._positions[:end] = self._last_positions = positions
        self._slots[:end] = slots
        self._outputs[:end] = flags
        self.handle.n_tokens = end
        return firsts

    def go_on(self, tokens: Sequence[int]) -> range:
        """Let it hold `tokens`, each one position after that which it held in its place, with logits after each."""
        end = len(tokens)
        assert end == self.handle.n_tokens, "each sequence goes on"
        self._last_positions = [position + 1 for position in self._last_positions]
        self._tokens[:end] = tokens
        self._positions[:end] = self._last_positions
        return range(end)
