"""A `llama_batch` over arrays of our own, filled slice by slice.

Through the pointers of `llama_batch_init` each token would cost five lookups in Python.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any


class Batch:
    """Room for `capacity` tokens, each of one sequence."""

    def __init__(self, lib: Any, capacity: int) -> None:
        self._tokens = (lib.llama_token * capacity)()
        self._positions = (lib.llama_pos * capacity)()
        self._slots = (lib.llama_seq_id * capacity)()
        self._counts = (ctypes.c_int32 * capacity)(*([1] * capacity))
        self._outputs: Any = (ctypes.c_int8 * capacity)()
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

    def clear(self) -> None:
        self.handle.n_tokens = 0

    def add(self, slot: int, position: int, tokens: Sequence[int], outputs: int) -> int:
        """Append `tokens` of sequence `slot`, the first at `position`; logits or vectors after the last `outputs`.

        Returns the index of the first of those outputs.
        """
        n = len(tokens)
        start: int = self.handle.n_tokens
        end: int = start + n
        self._tokens[start:end] = tokens
        self._positions[start:end] = range(position, position + n)
        self._slots[start:end] = [slot] * n
        self._outputs[start:end] = [0] * (n - outputs) + [1] * outputs
        self.handle.n_tokens = end
        return end - outputs
