"""What a model sees with: pictures into pieces of a prompt, and pieces into embeddings, by llama.cpp's libmtmd.

A picture becomes tokens of the vocabulary (what its family has around it) and pieces, one or several (tiles, say).
What a piece shows is computed once, and kept as long as somebody holds the piece or it is among the last ones seen.

That takes long, and cannot be cut in pieces like a text. But ggml asks before it computes a node of a graph whether
somebody wants to look at what comes out; whoever does is called in between, and may compute something else meanwhile.

Knows libmtmd. Refuses to know files of pictures (`runtime/media/`) and which sequence a piece is in (`context.py`).
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.engine.backend import Pixels
from runtime.engine.errors import DecodeFailed, PictureTooLarge, PictureUnusable, ProjectorFailed
from runtime.engine.llama.model import LlamaModel
from runtime.engine.llama.mtmd import import_mtmd
from runtime.engine.pieces import Piece, Seen, piece_tokens
from runtime.engine.settings import ProjectorSettings
from runtime.engine.weights import Weights

GIVEN_UP = 77
"""None of llama_decode's own codes (llama.h)."""

_NODES = 8
"""Of a graph, after so many of which others may come between: a layer has about thirty."""

_SHORTEST_BREATH = 0.02
"""Seconds that are computed at least until others come between, and for as long as they took the last time: both get
half of the time."""

KEPT_BYTES = 256 * 2**20
"""Of the embeddings of pictures that were seen before: one of 448 x 448 takes 1 to 4 MB."""

_TEXT = 0
"""mtmd_input_chunk_type in mtmd.h."""

_TRIALS = ((4096, 4096), (8192, 1024), (1024, 8192), (16, 16))
"""Sizes, of which one takes as many cells as any picture does: found by asking, since each family has its own rule."""


class Projector:
    """The weights in a projector's GGUF, for `model`. Raises `ProjectorFailed`, `OSError`.

    `fits` is how many cells must fit into one micro-batch, 0 where a picture may be computed in several.
    """

    def __init__(
        self, model: LlamaModel, weights: Weights, settings: ProjectorSettings, n_threads: int, library: Path | None
    ) -> None:
        self._mtmd = mtmd = import_mtmd(library)
        self._lib = model.lib
        self._logs = model.logs
        interlude = _Interlude(model.lib)  # kept: ggml calls it from now on
        self.handle = _load(mtmd, model, weights, settings, n_threads, interlude.callback)
        self.sees = bool(mtmd.mtmd_support_vision(self.handle))
        self.hears = bool(mtmd.mtmd_support_audio(self.handle))
        self._width: int = model.lib.llama_model_n_embd_inp(model.handle)
        self._marker = mtmd.mtmd_default_marker()
        self._interlude = interlude
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, Seen] = OrderedDict()
        self.fits = 0
        if self.sees and mtmd.mtmd_decode_use_non_causal(self.handle, None):
            self.fits = max(self._largest(width, height) for width, height in _TRIALS)
        self._place = "GPU" if settings.use_gpu else "processor"

    @property
    def line(self) -> str:
        """What people are told of it."""
        senses = " and ".join(
            what for what, has in (("sees pictures", self.sees), ("hears, which is not used yet", self.hears)) if has
        )
        at_once = f"; all of a picture at once, so {self.fits:,} tokens are computed together" if self.fits else ""
        return f"With a projector on the {self._place}, it {senses or 'neither sees nor hears'}{at_once}"

    def seen(self, digest: bytes) -> Seen | None:
        """What `see` has made of the picture of this digest, if it is still there."""
        with self._lock:
            found = self._seen.get(digest)
            if found is not None:
                self._seen.move_to_end(digest)
            return found

    def see(self, picture: Pixels) -> Seen:
        """What `picture` becomes in a prompt. One at a time. Raises `PictureUnusable`, `PictureTooLarge`."""
        with self._lock:
            found = self._seen.get(picture.digest)
            if found is None:
                found = self._take_apart(picture)
                self._seen[picture.digest] = found
                while len(self._seen) > 1 and sum(map(self._bytes, self._seen.values())) > KEPT_BYTES:
                    self._seen.popitem(last=False)
            return found

    def is_encoded(self, piece: Piece) -> bool:
        """Whether `encode` has been called for it."""
        return piece.content.embeddings is not None

    def encode(self, piece: Piece, meanwhile: Callable[[], bool]) -> bool:
        """Find out what it shows, which takes long: `meanwhile` is called now and then, and says whether to go on.

        False where it did not. Raises `DecodeFailed`, and what `meanwhile` raises.
        """
        content: _Content = piece.content
        with self._interlude.of(meanwhile) as interlude:
            code = self._mtmd.mtmd_encode_chunk(self.handle, content.chunk)
        if interlude.is_given_up:
            return False
        if code:
            raise DecodeFailed(code, self._logs.last_error())
        n = len(piece.tokens) * self._width
        embeddings = (ctypes.c_float * n)()
        ctypes.memmove(embeddings, self._mtmd.mtmd_get_output_embd(self.handle), ctypes.sizeof(embeddings))
        content.settle(embeddings)
        return True

    def decode(
        self, context: Any, slot: int, position: int, piece: Piece, n_batch: int, meanwhile: Callable[[], bool]
    ) -> int:
        """Put an encoded piece into the memory of `context`; what llama_decode returned. `n_batch` cells at a time.

        After each so many but the last, `meanwhile` is called, and says whether to go on: `GIVEN_UP` where not. Not for
        families that look at all of a picture at once.
        """
        content: _Content = piece.content
        mtmd, after, left = self._mtmd, self._lib.llama_pos(0), [len(piece.tokens)]

        def decoded(batch: Any, _data: Any) -> int:
            left[0] -= batch[0].n_tokens
            return 0 if left[0] <= 0 or meanwhile() else GIVEN_UP

        between = mtmd.mtmd_helper_post_decode_callback(*(() if self.fits else (decoded,)))
        code: int = mtmd.mtmd_helper_decode_image_chunk(
            self.handle,
            context,
            content.chunk,
            content.embeddings,
            position,
            slot,
            n_batch,
            ctypes.byref(after),
            between,
            None,
        )
        return code

    def close(self) -> None:
        """Free the weights, and what was seen."""
        with self._lock:
            self._seen.clear()
        self._mtmd.mtmd_free(self.handle)

    def _bytes(self, seen: Seen) -> int:
        return sum(4 * self._width * len(one.tokens) for one in seen if isinstance(one, Piece))

    def _take_apart(self, picture: Pixels) -> Seen:
        seen: list[tuple[int, ...] | Piece] = []
        with self._chunks(picture.width, picture.height, picture.data) as chunks:
            for i, (chunk, kind, n_cells) in enumerate(chunks):
                if kind == _TEXT:
                    seen.append(_tokens(self._mtmd, chunk))
                else:
                    seen.append(self._piece(chunk, n_cells, picture.digest + i.to_bytes(4, "little")))
        return tuple(seen)

    def _piece(self, chunk: Any, n_cells: int, digest: bytes) -> Piece:
        n_positions = self._mtmd.mtmd_input_chunk_get_n_pos(chunk)
        if not 0 < n_positions <= n_cells:
            raise PictureUnusable(f"its family counts positions in a way that is not known: {n_positions} of {n_cells}")
        if self.fits and n_cells > self.fits:
            raise PictureTooLarge(n_cells, self.fits)
        return Piece(piece_tokens(digest, n_cells, n_positions), _Content(self._mtmd, chunk))

    def _largest(self, width: int, height: int) -> int:
        """Cells of the largest piece of a picture of that size."""
        with self._chunks(width, height, None) as chunks:
            return max((n_cells for _chunk, kind, n_cells in chunks if kind != _TEXT), default=0)

    @contextmanager
    def _chunks(self, width: int, height: int, data: bytes | None) -> Iterator[list[tuple[Any, int, int]]]:
        """(chunk, kind, cells) of each part of a picture; with `data` None of one whose pixels do not matter."""
        mtmd = self._mtmd
        self._logs.clear()
        buffer = None if data is None else (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        bitmap = mtmd.mtmd_bitmap_init(width, height, buffer)
        chunks = mtmd.mtmd_input_chunks_init()
        try:
            text = mtmd.mtmd_input_text(self._marker, len(self._marker), False, True)
            bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
            if mtmd.mtmd_tokenize(self.handle, chunks, ctypes.byref(text), bitmaps, 1):
                raise PictureUnusable(self._logs.last_error() or "the model cannot look at pictures of this shape")
            found = [mtmd.mtmd_input_chunks_get(chunks, i) for i in range(mtmd.mtmd_input_chunks_size(chunks))]
            yield [(one, mtmd.mtmd_input_chunk_get_type(one), mtmd.mtmd_input_chunk_get_n_tokens(one)) for one in found]
        finally:
            mtmd.mtmd_input_chunks_free(chunks)
            mtmd.mtmd_bitmap_free(bitmap)


class _Interlude:
    """Calls whoever wants to do something in the middle of a graph."""

    def __init__(self, lib: Any) -> None:
        self.callback = lib.ggml_backend_sched_eval_callback(self._asked)
        self.is_given_up = False
        self._meanwhile: Callable[[], bool] | None = None
        self._error: BaseException | None = None
        self._nodes = 0
        self._resumed = 0.0
        self._breath = _SHORTEST_BREATH

    @contextmanager
    def of(self, meanwhile: Callable[[], bool]) -> Iterator[_Interlude]:
        """Call `meanwhile` in what is computed in this block. Raises what it raises."""
        self._meanwhile, self.is_given_up, self._error = meanwhile, False, None
        self._resumed = time.perf_counter()
        try:
            yield self
        finally:
            self._meanwhile = None
        if self._error is not None:
            raise self._error

    def _asked(self, _tensor: Any, is_question: bool, _data: Any) -> bool:
        """Whether to come back after this node; if it is no question, whether to go on after it."""
        if self._meanwhile is None:
            return not is_question
        if is_question:
            self._nodes += 1
            return self.is_given_up or self._nodes % _NODES == 0
        began = time.perf_counter()
        if not self.is_given_up and began - self._resumed >= self._breath:
            try:
                self.is_given_up = not self._meanwhile()
            except BaseException as error:  # nothing can be raised through C
                self._error, self.is_given_up = error, True
            self._resumed = time.perf_counter()
            self._breath = max(self._resumed - began, _SHORTEST_BREATH)
        return not self.is_given_up


class _Content:
    """A piece's chunk of libmtmd: with its pixels until it is encoded, and with its `embeddings` from then on."""

    def __init__(self, mtmd: Any, chunk: Any) -> None:
        self._mtmd = mtmd
        self.embeddings: Any = None
        self._keep(mtmd.mtmd_input_chunk_copy(chunk))

    def settle(self, embeddings: Any) -> None:
        """It has been encoded: its pixels are not needed any more."""
        pixels = self._finalizer
        self._keep(self._mtmd.mtmd_input_chunk_get_placeholder(self.chunk))
        pixels()
        self.embeddings = embeddings

    def _keep(self, chunk: Any) -> None:
        self.chunk = chunk
        self._finalizer = weakref.finalize(self, self._mtmd.mtmd_input_chunk_free, chunk)
        self._finalizer.atexit = False


def _load(
    mtmd: Any, model: LlamaModel, weights: Weights, settings: ProjectorSettings, n_threads: int, callback: Any
) -> Any:
    params = mtmd.mtmd_context_params_default()
    params.cb_eval = callback
    params.use_gpu = settings.use_gpu
    params.print_timings = False
    params.n_threads = n_threads
    params.flash_attn_type = model.lib.LLAMA_FLASH_ATTN_TYPE_AUTO
    if settings.min_tokens is not None:
        params.image_min_tokens = settings.min_tokens
    if settings.max_tokens is not None:
        params.image_max_tokens = settings.max_tokens
    model.logs.clear()
    with _as_a_file(weights) as path:
        handle = mtmd.mtmd_init_from_file(os.fsencode(path), model.handle, params)
    if not handle:
        raise ProjectorFailed(weights.path, model.logs.last_error())
    return handle


@contextmanager
def _as_a_file(weights: Weights) -> Iterator[str]:
    """A path under which `weights` begin at the first byte: their own, or that of a copy in memory, gone afterwards.

    libmtmd takes nothing but a path, and reads all of it into memory of its own.
    """
    if not weights.offset:
        yield str(weights.path)
        return
    copy = os.memfd_create("projector", os.MFD_CLOEXEC)
    try:
        with weights.path.open("rb") as file:
            place, left = weights.offset, (weights.size or os.fstat(file.fileno()).st_size - weights.offset)
            while left > 0:
                sent = os.sendfile(copy, file.fileno(), place, left)
                if not sent:
                    break
                place, left = place + sent, left - sent
        yield f"/proc/self/fd/{copy}"
    finally:
        os.close(copy)


def _tokens(mtmd: Any, chunk: Any) -> tuple[int, ...]:
    count = ctypes.c_size_t(0)
    tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
    return tuple(tokens[: count.value])
