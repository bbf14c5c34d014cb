"""A KV pool and what is computed in it: batches, logits, sequences copied, cut, saved and restored.

Used by one thread only, but for `interrupt`. The pool's sequences are numbered 0 … n_slots - 1.
"""

from __future__ import annotations

import ctypes
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from runtime.engine.backend import BatchItem, PoolFull
from runtime.engine.errors import ContextFailed, DecodeFailed, EngineStopped
from runtime.engine.llama.batch import Batch
from runtime.engine.llama.control import apply_control, say_rope
from runtime.engine.llama.model import LlamaModel
from runtime.engine.llama.projector import GIVEN_UP, Projector
from runtime.engine.llama.sampler import ChainSampler
from runtime.engine.llama.states import (
    get_state,
    read_checkpoints,
    read_tokens,
    restore_state,
    save_state,
    set_state,
    write_state,
)
from runtime.engine.pieces import Piece, texts_only
from runtime.engine.settings import ContextSettings, Rope
from runtime.engine.states import SavedSequence, StateFile
from runtime.engine.team import Team
from runtime.engine.types import Sampling
from runtime.machine.resources import memory

_ABORTED = 2
"""What llama_decode and llama_encode return when their abort callback said so (llama.h)."""


class Context:
    """Computes for many sequences that share one pool of `n_ctx` tokens. Raises `ContextFailed` when made.

    Pieces are those of `projector`.
    """

    def __init__(
        self,
        model: LlamaModel,
        settings: ContextSettings,
        interrupt: Interrupt,
        team: Team,
        projector: Projector | None = None,
    ) -> None:
        self._model = model
        self._projector = projector
        self._lib = lib = model.lib
        self.settings = settings = _with_whole_batches(settings) if model.facts.window else settings
        self._handle = new_handle(model, _params(lib, settings), settings.n_ctx)
        try:
            added = apply_control(model, self._handle, settings.control)
        except BaseException:
            lib.llama_free(self._handle)
            raise
        self._changed = _changes(settings, added)
        self._interrupt = interrupt  # kept, since llama.cpp looks at its flag for as long as the context lives
        interrupt.watch(self._handle)
        self._compute = Computing(lib, self._handle, team)
        self._memory = lib.llama_get_memory(self._handle)
        self._batch = Batch(lib, settings.n_batch)
        self.n_ctx: int = lib.llama_n_ctx(self._handle)

    @property
    def keeps_sequences(self) -> bool:
        """Whether the model has a memory at all; encoders have none."""
        return bool(self._memory)

    @property
    def is_causal(self) -> bool:
        """Whether nothing of a text looks at what comes after it."""
        return bool(self._lib.llama_get_causal_attn(self._handle))

    def new_sampler(self, sampling: Sampling, prompt: Sequence[int]) -> ChainSampler:
        """A sampler chain for one sequence, whose penalties know the `prompt`. Raises `GrammarInvalid`."""
        said = texts_only(prompt)
        return ChainSampler(self._lib, self._handle, self._model.vocabulary, self.n_ctx, sampling, said)

    def decode(self, items: Sequence[BatchItem], scales: tuple[float, ...]) -> dict[int, int]:
        """Compute `items` in one batch, with the adapters at `scales`.

        Returns {slot: index of the first of its outputs, if it has any}, one more for each further, to sample at.
        Raises `PoolFull` (then nothing was kept of the batch), `EngineStopped` after `interrupt`, or `DecodeFailed`.
        """
        outputs = self._batch.fill(items)
        self._decode(scales)
        return outputs

    def decode_next(self, tokens: Sequence[int], scales: tuple[float, ...]) -> range:
        """Compute `tokens`, which come next in the sequences of the batch before: it had one token of each.

        Returns an index to sample at for each. Raises as `decode`.
        """
        outputs = self._batch.go_on(tokens)
        self._decode(scales)
        return outputs

    def decode_piece(
        self,
        slot: int,
        position: int,
        piece: Piece,
        scales: tuple[float, ...],
        at_once: int,
        meanwhile: Callable[[], bool],
    ) -> bool:
        """Compute a `piece` that is encoded at the end of `slot`, from `position` on, with the adapters at `scales`.

        After each `at_once` cells, `meanwhile` is called, and says whether to go on: False where it did not. It is not
        for families that look at all of a picture at once. Raises as `decode` does. In either case a part of it may
        be left in `slot`.
        """

        def others() -> bool:
            goes_on = meanwhile()
            use_adapters(self._model, self._handle, scales)
            return goes_on

        self._model.logs.clear()
        use_adapters(self._model, self._handle, scales)
        eyes = self._projector
        assert eyes is not None, "pieces come of a projector"
        n_batch = self.settings.n_ubatch if eyes.fits else at_once
        code = self._compute(lambda handle, one: eyes.decode(handle, slot, position, one, n_batch, others), piece)
        if code == GIVEN_UP:
            return False
        if code == 1:
            raise PoolFull
        check_computed(self._model, code)
        return True

    def holds(self, slot: int, length: int) -> bool:
        """Whether the first `length` tokens of `slot` are all there to be continued from.

        A sliding window forgets what is behind it: what it still holds begins at `pos_min`, and what comes next, at
        position `length`, sees itself and the `n_swa` - 1 tokens before (`is_masked_swa` in src/llama-hparams.h).
        """
        first = self._lib.llama_memory_seq_pos_min(self._memory, slot)
        last = self._lib.llama_memory_seq_pos_max(self._memory, slot)
        if first < 0 or last + 1 < length:
            return False
        if self._model.facts.keeps_state:
            return bool(last + 1 == length)
        window = self._model.facts.window
        return bool(first == 0 or (window > 0 and first <= length - window + 1))

    def keep_prefix(self, slot: int, length: int) -> bool:
        """Drop all but the first `length` tokens of `slot`; False when the memory cannot (nothing is dropped)."""
        return bool(self._lib.llama_memory_seq_rm(self._memory, slot, length, -1))

    def copy_prefix(self, source: int, target: int, length: int) -> bool:
        """Let `target`, which is empty, share the first `length` tokens of `source`; False: it is left empty.

        Windows are not shared, but copied: llama.cpp takes the cells that are behind a sequence's window for others
        only where no second sequence has them, and there are no more cells than all windows need.
        """
        self._lib.llama_memory_seq_cp(self._memory, source, target, 0, length)
        if not self._model.facts.window or self.settings.swa_full or not self.holds(target, length):
            return True
        window = self.checkpoint(target)
        return window is not None and self.go_back(target, length, window)

    def checkpoint(self, slot: int) -> memoryview | None:
        """What the memory of `slot` cannot go back to by being cut: states, and what is in sliding windows.

        None if llama.cpp does not give it.
        """
        return get_state(self._lib, self._handle, slot, partial=True)

    def go_back(self, slot: int, length: int, checkpoint: memoryview) -> bool:
        """Let `slot`, which holds `length` tokens or more, be as it was when it held so many and gave `checkpoint`.

        If False, it is empty.
        """
        # In this order: the end of a sequence cannot be cut off while its state is a later one.
        done = set_state(self._lib, self._handle, slot, checkpoint, partial=True) and self.keep_prefix(slot, length)
        return done or not self.keep_prefix(slot, 0)

    def state_size(self, slot: int) -> int:
        """How many bytes the state of `slot` has."""
        return int(self._lib.llama_state_seq_get_size(self._handle, slot))

    def state(self, slot: int) -> memoryview | None:
        """As `states.get_state`."""
        return get_state(self._lib, self._handle, slot)

    def set_state(self, slot: int, state: memoryview) -> bool:
        """As `states.set_state`."""
        return set_state(self._lib, self._handle, slot, state)

    def save(self, slot: int, saved: SavedSequence, path: Path) -> int:
        """As `states.save_state`."""
        return save_state(self._lib, self._handle, self._fingerprint(), slot, saved, path)

    def write(self, state: memoryview, saved: SavedSequence, path: Path) -> int:
        """As `states.write_state`."""
        return write_state(self._fingerprint(), saved, state, path)

    def saved_tokens(self, file: StateFile) -> tuple[int, ...]:
        """As `states.read_tokens`."""
        return read_tokens(self._fingerprint(), file)

    def saved_checkpoints(self, file: StateFile) -> tuple[int, ...]:
        """As `states.read_checkpoints`."""
        return read_checkpoints(self._fingerprint(), file)

    def restore(self, slot: int, file: StateFile) -> SavedSequence:
        """As `states.restore_state`."""
        return restore_state(self._lib, self._handle, self._fingerprint(), slot, file)

    def close(self) -> None:
        """Free the pool. Samplers made for it must be gone."""
        self._lib.llama_free(self._handle)

    def _decode(self, scales: tuple[float, ...]) -> None:
        self._model.logs.clear()
        use_adapters(self._model, self._handle, scales)
        code = self._compute(self._lib.llama_decode, self._batch.handle)
        if code == 1:
            raise PoolFull
        check_computed(self._model, code)

    def _fingerprint(self) -> bytes:
        """What a state must have been computed with to fit here, so far as llama.cpp does not look itself."""
        import hashlib  # with OpenSSL's, which takes longer than all else here

        facts, settings = self._model.facts, self.settings
        identity = (facts.description, facts.size, facts.parameter_count, facts.vocabulary_size, *self._changed)
        return hashlib.sha256(repr((identity, settings.cache_type_k, settings.cache_type_v)).encode()).digest()


class Interrupt:
    """Ends what is being computed in the contexts that it watches, and all that would be computed there later."""

    def __init__(self, lib: Any) -> None:
        self._lib = lib
        self._flag = ctypes.create_string_buffer(2)
        # `strlen` of the flag, which is 0 or 1: llama.cpp asks after every node of its graph, and a callback in
        # Python would take the GIL each time.
        self._callback = ctypes.cast(ctypes.CDLL(None).strlen, lib.ggml_abort_callback)

    def watch(self, handle: Any) -> None:
        self._lib.llama_set_abort_callback(handle, self._callback, ctypes.addressof(self._flag))

    def set(self) -> None:
        """Called from any thread."""
        self._flag[0] = b"\1"


_SHORT = 0.002
"""Seconds: where steps are shorter, one of `_OF_SHORT` stands for all. To ask the system how long all threads of the
process have worked costs 0.5 µs, and ten times that on some virtual machines, twice a step."""

_OF_SHORT = 8


class Computing:
    """Calls what computes in a context, with as many threads as the `team` has, and tells the team how it went."""

    def __init__(self, lib: Any, handle: Any, team: Team) -> None:
        self._set_threads = lib.llama_set_n_threads
        self._handle = handle
        self._team = team
        self._size = team.most
        self._stands_for = 1
        self._untold = 0

    def __call__(self, function: Any, batch: Any) -> int:
        """What `function`, which is llama_decode or llama_encode or calls one, returns for `batch`."""
        team = self._team
        if self._size != team.size:
            self._size = team.size
            self._set_threads(self._handle, team.size, team.size)
        self._untold += 1
        if team.is_fixed or self._untold < self._stands_for:
            return int(function(self._handle, batch))
        worked, began = time.process_time(), time.perf_counter()
        code: int = function(self._handle, batch)
        seconds = time.perf_counter() - began
        team.note(seconds * self._untold, (time.process_time() - worked) * self._untold)
        self._untold = 0
        self._stands_for = _OF_SHORT if seconds < _SHORT else 1
        return code


def new_handle(model: LlamaModel, params: Any, n_ctx: int) -> Any:
    """A llama_context. Raises `ContextFailed`, with llama.cpp's reason, when there is not enough memory."""
    model.logs.clear()
    handle = model.lib.llama_init_from_model(model.handle, params)
    if not handle:
        raise ContextFailed(n_ctx, model.logs.last_error(), memory().available)
    return handle


def use_adapters(model: LlamaModel, handle: Any, scales: tuple[float, ...]) -> None:
    """Apply the model's adapters at `scales`, one each, to what is computed next. Cheap when nothing changes."""
    if not model.adapter_handles:
        return
    n = len(model.adapter_handles)
    array = (model.lib.llama_adapter_lora_p_ctypes * n)(*model.adapter_handles)
    model.lib.llama_set_adapters_lora(handle, array, n, (ctypes.c_float * n)(*scales))


def check_computed(model: LlamaModel, code: int) -> None:
    """Raises `EngineStopped` or `DecodeFailed` for what llama_decode or llama_encode returned, unless it is 0."""
    if code == _ABORTED:
        raise EngineStopped
    if code != 0:
        raise DecodeFailed(code, model.logs.last_error())


def _with_whole_batches(settings: ContextSettings) -> ContextSettings:
    """The same with batches of one micro-batch.

    llama.cpp looks for the cells of all micro-batches before it computes the first (`llama_kv_cache::prepare`), and in
    passing drops what is behind a window by the last (`apply_ubatch`): with several sequences the first may still see
    some of it. Nothing is said of that, and what comes out is wrong.
    """
    n = max(settings.n_ubatch, settings.n_slots)  # each slot's next token must fit
    return msgspec.structs.replace(settings, n_batch=n, n_ubatch=n)


def _changes(settings: ContextSettings, added: array[float] | None) -> tuple[object, ...]:
    """What besides the weights decides what is computed; nothing where nothing was changed."""
    return (*(() if settings.rope == Rope() else (settings.rope,)), *(() if added is None else (added.tobytes(),)))


def _params(lib: Any, settings: ContextSettings) -> Any:
    params = lib.llama_context_default_params()
    params.n_ctx = settings.n_ctx
    params.n_batch = settings.n_batch
    params.n_ubatch = min(settings.n_ubatch, settings.n_batch)
    params.n_seq_max = settings.n_slots
    # Memory for logits is reserved for so many tokens of a batch; without a bound, for all of them.
    params.n_outputs_max = min(settings.n_batch, settings.n_slots * (1 + settings.max_draft))
    params.n_threads = settings.n_threads
    params.n_threads_batch = settings.n_threads
    params.kv_unified = True
    params.swa_full = settings.swa_full
    params.offload_kqv = settings.cache_beside_layers
    say_rope(params, settings.rope)
    flash = settings.flash_attention
    params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_AUTO if flash is None else int(flash)
    params.type_k = getattr(lib, f"GGML_TYPE_{settings.cache_type_k.upper()}")
    params.type_v = getattr(lib, f"GGML_TYPE_{settings.cache_type_v.upper()}")
    return params
