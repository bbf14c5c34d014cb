"""llama.cpp, through llama-cpp-python's low-level binding: the only importer of it.

Knows how to load weights in place, compute batches, sample, and turn text into tokens and back. Refuses to know
requests, scheduling and which tokens a sequence holds. A context is used by one thread only; a model's vocabulary
(`tokenize`, `piece`, `facts`) by any.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Sequence as Items
from pathlib import Path
from typing import Any, Literal

import msgspec

from runtime.engine.errors import ContextFailed, DecodeFailed, EngineStopped, LoadAborted, ModelLoadFailed
from runtime.engine.logs import LogTail
from runtime.engine.sampler import Sampler, Vocabulary
from runtime.engine.types import Sampling
from runtime.lean import enter_package


class Weights(msgspec.Struct, frozen=True):
    """A GGUF that begins `offset` bytes into the file `path`: a bundle, or at 0 a file of its own."""

    path: Path
    offset: int = 0


class LoadSettings(msgspec.Struct, frozen=True):
    """How weights come into memory: mapped or read, locked there or not, repacked for the processor or not."""

    mmap: bool = True
    mlock: bool = False
    repack: bool = True


CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
"""What K and V can be kept as; llama-server's list."""


class ContextSettings(msgspec.Struct, frozen=True):
    """Sizes in tokens; `n_slots` sequences share `n_ctx` of them. `flash_attention` None: where it can be used."""

    n_ctx: int
    n_slots: int
    n_batch: int
    n_ubatch: int
    n_threads: int
    flash_attention: bool | None = None
    cache_type_k: CacheType = "f16"
    cache_type_v: CacheType = "f16"


class BatchItem(msgspec.Struct, frozen=True):
    """`tokens` of the sequence in `slot`, at positions from `position` on; logits for the last if wanted."""

    slot: int
    position: int
    tokens: tuple[int, ...]
    wants_logits: bool


class ModelFacts(msgspec.Struct, frozen=True):
    """What the weights say of themselves. `kv_bytes` of memory a token of context takes, in F16.

    `repacked` bytes of the weights are in memory of their own, laid out for this processor.
    """

    description: str
    size: int
    parameter_count: int
    vocabulary_size: int
    n_ctx_train: int
    embedding_length: int
    kv_bytes: int
    keeps_partial_prefix: bool
    repacked: int
    adds_bos: bool
    bos: str
    eos: str
    chat_template: str | None


_ABORTED = 2
"""What llama_decode returns when its abort callback said so (llama.h)."""


class PoolFull(Exception):
    """No room in the KV pool for the batch; nothing of it was computed."""


class Model:
    """Loaded weights and their vocabulary."""

    def __init__(self, lib: Any, handle: Any, logs: LogTail) -> None:
        self._lib = lib
        self._handle = handle
        self._logs = logs
        self._vocab = lib.llama_model_get_vocab(handle)
        self.facts = self._read_facts()
        n_vocab = self.facts.vocabulary_size
        ends = tuple(token for token in range(n_vocab) if lib.llama_vocab_is_eog(self._vocab, token))
        self._ends = frozenset(ends)
        self._vocabulary = Vocabulary(self._vocab, n_vocab, ends)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:
        """Token ids of `text`; `add_special` adds BOS and EOS as the model wants them."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        while True:
            buffer = (self._lib.llama_token * room)()
            count = self._lib.llama_tokenize(self._vocab, data, len(data), buffer, room, add_special, parse_special)
            if count >= 0:
                return tuple(buffer[:count])
            room = -count

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes that `token` stands for; control tokens stand for nothing unless `special`."""
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = self._lib.llama_token_to_piece(self._vocab, token, buffer, room, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            room = -count

    def ends_generation(self, token: int) -> bool:
        """Whether the model says with `token` that it has finished."""
        return token in self._ends

    def new_context(self, settings: ContextSettings) -> Context:
        """Raises `ContextFailed`, with llama.cpp's reason, when there is not enough memory."""
        params = self._lib.llama_context_default_params()
        params.n_ctx = settings.n_ctx
        params.n_batch = settings.n_batch
        params.n_ubatch = min(settings.n_ubatch, settings.n_batch)
        params.n_seq_max = settings.n_slots
        params.n_threads = settings.n_threads
        params.n_threads_batch = settings.n_threads
        params.kv_unified = True
        flash = settings.flash_attention
        params.flash_attn_type = self._lib.LLAMA_FLASH_ATTN_TYPE_AUTO if flash is None else int(flash)
        params.type_k = getattr(self._lib, f"GGML_TYPE_{settings.cache_type_k.upper()}")
        params.type_v = getattr(self._lib, f"GGML_TYPE_{settings.cache_type_v.upper()}")
        self._logs.clear()
        handle = self._lib.llama_init_from_model(self._handle, params)
        if not handle:
            raise ContextFailed(settings.n_ctx, self._logs.last_error())
        return Context(self._lib, handle, self, settings, self._logs)

    def new_sampler(self, sampling: Sampling, prompt: Items[int], n_ctx: int) -> Sampler:
        """A sampler chain for one sequence of at most `n_ctx` tokens, whose penalties know the `prompt`."""
        return Sampler(self._lib, self._vocabulary, n_ctx, sampling, prompt)

    def close(self) -> None:
        self._lib.llama_model_free(self._handle)

    def _read_facts(self) -> ModelFacts:
        lib, handle = self._lib, self._handle
        n_layer, n_head_kv = lib.llama_model_n_layer(handle), lib.llama_model_n_head_kv(handle)
        n_embd, n_head = lib.llama_model_n_embd(handle), lib.llama_model_n_head(handle)
        architecture, head = self._metadata("general.architecture"), n_embd // max(n_head, 1)
        key = self._metadata(f"{architecture}.attention.key_length")
        value = self._metadata(f"{architecture}.attention.value_length")
        head_widths = (int(key) if key.isdigit() else head) + (int(value) if value.isdigit() else head)
        description = ctypes.create_string_buffer(256)
        lib.llama_model_desc(handle, description, len(description))
        template = lib.llama_model_chat_template(handle, None)
        stateful = lib.llama_model_is_recurrent(handle) or lib.llama_model_is_hybrid(handle)
        return ModelFacts(
            description=description.value.decode("utf-8", "replace"),
            size=lib.llama_model_size(handle),
            parameter_count=lib.llama_model_n_params(handle),
            vocabulary_size=lib.llama_vocab_n_tokens(self._vocab),
            n_ctx_train=lib.llama_model_n_ctx_train(handle),
            embedding_length=n_embd,
            # K and V, two bytes each, for every layer and KV head (llama.cpp: llama_kv_cache, F16)
            kv_bytes=2 * n_layer * n_head_kv * head_widths,
            repacked=self._logs.buffer_size("CPU_REPACK"),
            # sliding windows drop cells behind them, so only the end of a sequence can be gone back to
            keeps_partial_prefix=not stateful and lib.llama_model_n_swa(handle) == 0,
            adds_bos=bool(lib.llama_vocab_get_add_bos(self._vocab)),
            bos=self._token_text(lib.llama_vocab_bos(self._vocab)),
            eos=self._token_text(lib.llama_vocab_eos(self._vocab)),
            chat_template=template.decode("utf-8", "replace") if template else None,
        )

    def _metadata(self, key: str) -> str:
        """The value of `key` in the GGUF, as text; empty where there is none."""
        buffer = ctypes.create_string_buffer(256)
        length = self._lib.llama_model_meta_val_str(self._handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if length >= 0 else ""

    def _token_text(self, token: int) -> str:
        return "" if token < 0 else self.piece(token, special=True).decode("utf-8", "replace")


class Context:
    """A KV pool and what is computed in it. The pool's sequences are numbered 0 … n_slots - 1."""

    def __init__(self, lib: Any, handle: Any, model: Model, settings: ContextSettings, logs: LogTail) -> None:
        self._lib = lib
        self._handle = handle
        self._memory = lib.llama_get_memory(handle)
        self._batch = lib.llama_batch_init(settings.n_batch, 0, 1)
        self._logs = logs
        self._interrupt = ctypes.create_string_buffer(2)
        lib.llama_set_abort_callback(handle, _first_byte_is_set(lib), ctypes.addressof(self._interrupt))
        self.model = model
        self.settings = settings
        self.n_ctx: int = lib.llama_n_ctx(handle)

    def decode(self, items: Items[BatchItem]) -> dict[int, int]:
        """Compute `items` in one batch; returns {slot: index to sample at} where logits were wanted.

        Raises `PoolFull` (then nothing was kept of the batch), `EngineStopped` after `interrupt`, or `DecodeFailed`.
        """
        self._logs.clear()
        batch = self._batch
        outputs: dict[int, int] = {}
        n = 0
        for item in items:
            for i, token in enumerate(item.tokens):
                batch.token[n] = token
                batch.pos[n] = item.position + i
                batch.n_seq_id[n] = 1
                batch.seq_id[n][0] = item.slot
                batch.logits[n] = 0
                n += 1
            if item.wants_logits:
                batch.logits[n - 1] = 1
                outputs[item.slot] = n - 1
        batch.n_tokens = n
        code = self._lib.llama_decode(self._handle, batch)
        if code == 1:
            raise PoolFull
        if code == _ABORTED:
            raise EngineStopped
        if code != 0:
            raise DecodeFailed(code, self._logs.last_error())
        return outputs

    def sample(self, sampler: Sampler, output: int) -> int:
        """The next token after the batch's token number `output`."""
        return sampler.sample(self._handle, output)

    def keep_prefix(self, slot: int, length: int) -> bool:
        """Drop all but the first `length` tokens of `slot`; False when the memory cannot (nothing is dropped)."""
        return bool(self._lib.llama_memory_seq_rm(self._memory, slot, length, -1))

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        """Let `target`, which is empty, share the first `length` tokens of `source`."""
        self._lib.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def interrupt(self) -> None:
        """End the batch that is being computed, and every later one. Called from any thread."""
        self._interrupt[0] = b"\1"

    def close(self) -> None:
        self._lib.llama_batch_free(self._batch)
        self._lib.llama_free(self._handle)


def load_model(weights: Weights, settings: LoadSettings, abort_load: threading.Event) -> Model:
    """Load `weights` where they lie: the file that holds them is mapped, and nothing copied but what is repacked.

    Setting `abort_load` from another thread ends the loading with `LoadAborted`. Raises `ModelLoadFailed`.
    """
    lib, logs = import_binding()
    params = lib.llama_model_default_params()
    params.load_mode = _load_mode(lib, settings)
    params.use_extra_bufts = settings.repack
    # The reference must live until loading is over, or ctypes frees the callback.
    callback = lib.llama_progress_callback(lambda _progress, _data: not abort_load.is_set())
    params.progress_callback = callback
    libc = ctypes.CDLL(None, use_errno=True)
    file = _open_at(libc, weights)
    try:
        handle = lib.llama_model_load_from_file_ptr(file, params)
    finally:
        libc.fclose(file)
    if abort_load.is_set():
        if handle:
            lib.llama_model_free(handle)
        raise LoadAborted
    if not handle:
        raise ModelLoadFailed(weights.path, logs.last_error())
    return Model(lib, handle, logs)


@functools.cache
def import_binding() -> tuple[Any, LogTail]:
    """The module `llama_cpp.llama_cpp`, with llama.cpp's processor backends loaded, and what it logs."""
    package = enter_package("llama_cpp")
    import llama_cpp.llama_cpp as lib

    # Through libllama's own handle: another copy of ggml's registry would be filled through any other.
    load_backends = lib._lib.ggml_backend_load_all_from_path
    load_backends.argtypes = [ctypes.c_char_p]
    load_backends.restype = None
    logs = LogTail(lib)
    load_backends(os.fsencode(_backends_folder(Path(package.__path__[0]))))
    lib.llama_backend_init()
    return lib, logs


def _backends_folder(package: Path) -> Path:
    """Where the processor's variants are: frozen beside libllama, installed by pip in site-packages/bin."""
    frozen = package / "lib"
    return frozen if any(frozen.glob("libggml-cpu*")) else package.parent / "bin"


def _first_byte_is_set(lib: Any) -> Any:
    """An abort callback in C: `strlen` of the flag, which is 0 or 1.

    llama.cpp asks after every node of its graph; a callback in Python would take the GIL each time.
    """
    return ctypes.cast(ctypes.CDLL(None).strlen, lib.ggml_abort_callback)


def _load_mode(lib: Any, settings: LoadSettings) -> int:
    modes = {
        (False, False): lib.LLAMA_LOAD_MODE_NONE,
        (True, False): lib.LLAMA_LOAD_MODE_MMAP,
        (False, True): lib.LLAMA_LOAD_MODE_MLOCK,
        (True, True): lib.LLAMA_LOAD_MODE_MMAP_MLOCK,
    }
    return int(modes[settings.mmap, settings.mlock])


def _open_at(libc: Any, weights: Weights) -> Any:
    libc.fopen.restype = ctypes.c_void_p
    libc.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    libc.fseeko.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int]
    libc.fclose.argtypes = [ctypes.c_void_p]
    file = libc.fopen(os.fsencode(weights.path), b"rb")
    if not file:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(weights.path))
    libc.fseeko(file, weights.offset, os.SEEK_SET)
    return file
