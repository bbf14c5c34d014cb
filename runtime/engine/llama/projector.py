"""What a model sees and hears with: pictures and sounds into pieces of a prompt, and pieces into embeddings, by
llama.cpp's libmtmd.

A picture becomes tokens of the vocabulary (what its family has around it) and pieces, one or several (tiles, say), and
so does a sound (half a minute each, say). What a piece holds is computed once, and kept as long as somebody holds the
piece or it is among the last ones that were taken in.

That takes long, and cannot be cut in pieces like a text. But ggml asks before it computes a node of a graph whether
somebody wants to look at what comes out; whoever does is called in between, and may compute something else meanwhile.

Knows libmtmd. Refuses to know files of pictures and sounds (`runtime/media/`) and which sequence a piece is in
(`context.py`).
"""

from __future__ import annotations

import ctypes
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.engine.backend import Pixels, Samples
from runtime.engine.errors import DecodeFailed, PictureTooLarge, PictureUnusable, PromptTooLong, SoundUnusable
from runtime.engine.llama.model import LlamaModel
from runtime.engine.llama.mtmd import import_mtmd
from runtime.engine.llama.projector_file import load_projector
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

_TEXT, _AUDIO = 0, 2
"""mtmd_input_chunk_type in mtmd.h."""

_SPAN = 30
"""Seconds of sound that make up a piece in most families; in all of them the cells of a long sound grow by as many."""

_SHORTEST_SOUND = 1.0
"""Seconds that libmtmd is given at least: silence follows what is shorter. Of less, some of its families make nothing,
and of one sample it ends the process (`mtmd_tokenizer::add_media` in mtmd.cpp)."""

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
        self.handle = load_projector(mtmd, model, weights, settings, n_threads, interlude.callback)
        self.sees = bool(mtmd.mtmd_support_vision(self.handle))
        self.hears = bool(mtmd.mtmd_support_audio(self.handle))
        self.sample_rate: int = mtmd.mtmd_get_audio_sample_rate(self.handle) if self.hears else 0
        self._vocabulary = model.vocabulary
        self._cells_of_span: int | None = None
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
        senses = " and ".join(what for what, has in (("sees pictures", self.sees), ("hears sounds", self.hears)) if has)
        at_once = f"; all of a picture at once, so {self.fits:,} tokens are computed together" if self.fits else ""
        return f"With a projector on the {self._place}, it {senses or 'neither sees nor hears'}{at_once}"

    def seen(self, digest: bytes) -> Seen | None:
        """What `see` or `hear` has made of the file of this digest, if it is still there."""
        with self._lock:
            found = self._seen.get(digest)
            if found is not None:
                self._seen.move_to_end(digest)
            return found

    def see(self, picture: Pixels) -> Seen:
        """What `picture` becomes in a prompt. One at a time. Raises `PictureUnusable`, `PictureTooLarge`."""

        def bitmap() -> Any:
            pixels = (ctypes.c_uint8 * len(picture.data)).from_buffer_copy(picture.data)
            return self._mtmd.mtmd_bitmap_init(picture.width, picture.height, pixels)

        return self._once(picture.digest, bitmap, PictureUnusable)

    def hear(self, sound: Samples) -> Seen:
        """What `sound` becomes in a prompt. One at a time. Raises `SoundUnusable`.

        And `PromptTooLong` where its cells cannot fit, before they are made: a minute takes 12 MB meanwhile.
        """
        self._check_room(len(sound.data) // 4)

        def bitmap() -> Any:
            data = sound.data.ljust(4 * round(_SHORTEST_SOUND * self.sample_rate), b"\0")
            samples = ctypes.cast(ctypes.c_char_p(data), ctypes.POINTER(ctypes.c_float))
            return self._mtmd.mtmd_bitmap_init_from_audio(len(data) // 4, samples)

        return self._once(sound.digest, bitmap, SoundUnusable)

    def _check_room(self, n_samples: int) -> None:
        most, n_spans = self._vocabulary.most_tokens, n_samples // (_SPAN * self.sample_rate)
        if most is None or n_spans < 2:
            return
        with self._lock:
            if self._cells_of_span is None:
                self._cells_of_span = self._cells_of(2 * _SPAN) - self._cells_of(_SPAN)
        if n_spans * self._cells_of_span > most:
            raise PromptTooLong(n_spans * self._cells_of_span, most)

    def _cells_of(self, seconds: int) -> int:
        """Of any sound that is so long."""
        bitmap = self._mtmd.mtmd_bitmap_init_from_audio(seconds * self.sample_rate, None)
        with self._chunks(bitmap, SoundUnusable) as chunks:
            return sum(n_cells for _chunk, kind, n_cells in chunks if kind != _TEXT)

    def _once(self, digest: bytes, bitmap: Callable[[], Any], unusable: _Unusable) -> Seen:
        with self._lock:
            found = self._seen.get(digest)
            if found is None:
                found = self._take_apart(digest, bitmap(), unusable)
                self._seen[digest] = found
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
        self._logs.clear()
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

        After each so many but the last, `meanwhile` is called, and says whether to go on: `GIVEN_UP` where not. Not
        where all of a piece is looked at at once.
        """
        content: _Content = piece.content
        mtmd, after, left = self._mtmd, self._lib.llama_pos(0), [len(piece.tokens)]

        def decoded(batch: Any, _data: Any) -> int:
            left[0] -= batch[0].n_tokens
            return 0 if left[0] <= 0 or meanwhile() else GIVEN_UP

        at_once = mtmd.mtmd_decode_use_non_causal(self.handle, content.chunk)
        between = mtmd.mtmd_helper_post_decode_callback(*(() if at_once else (decoded,)))
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

    def _take_apart(self, digest: bytes, bitmap: Any, unusable: _Unusable) -> Seen:
        seen: list[tuple[int, ...] | Piece] = []
        with self._chunks(bitmap, unusable) as chunks:
            for i, (chunk, kind, n_cells) in enumerate(chunks):
                if kind == _TEXT:
                    seen.append(_tokens(self._mtmd, chunk))
                    continue
                if self.fits and kind != _AUDIO and n_cells > self.fits:
                    raise PictureTooLarge(n_cells, self.fits)
                n_positions = self._mtmd.mtmd_input_chunk_get_n_pos(chunk)
                if not 0 < n_positions <= n_cells:
                    raise unusable(f"its family counts positions in no way that is known: {n_positions} of {n_cells}")
                cells = piece_tokens(digest + i.to_bytes(4, "little"), n_cells, n_positions)
                seen.append(Piece(cells, _Content(self._mtmd, chunk)))
        return tuple(seen)

    def _largest(self, width: int, height: int) -> int:
        """Cells of the largest piece of a picture of that size."""
        with self._chunks(self._mtmd.mtmd_bitmap_init(width, height, None), PictureUnusable) as chunks:
            return max((n_cells for _chunk, kind, n_cells in chunks if kind != _TEXT), default=0)

    @contextmanager
    def _chunks(self, bitmap: Any, unusable: _Unusable) -> Iterator[list[tuple[Any, int, int]]]:
        """(chunk, kind, cells) of each part of a picture or sound, whose `bitmap` is freed."""
        mtmd = self._mtmd
        self._logs.clear()
        chunks = mtmd.mtmd_input_chunks_init()
        try:
            text = mtmd.mtmd_input_text(self._marker, len(self._marker), False, True)
            bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
            if mtmd.mtmd_tokenize(self.handle, chunks, ctypes.byref(text), bitmaps, 1):
                raise unusable(self._logs.last_error() or "libmtmd does not say why")
            found = [mtmd.mtmd_input_chunks_get(chunks, i) for i in range(mtmd.mtmd_input_chunks_size(chunks))]
            yield [(one, mtmd.mtmd_input_chunk_get_type(one), mtmd.mtmd_input_chunk_get_n_tokens(one)) for one in found]
        finally:
            mtmd.mtmd_input_chunks_free(chunks)
            mtmd.mtmd_bitmap_free(bitmap)


_Unusable = type[PictureUnusable] | type[SoundUnusable]


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
    """A piece's chunk of libmtmd: with what it shows until it is encoded, and with its `embeddings` from then on."""

    def __init__(self, mtmd: Any, chunk: Any) -> None:
        self._mtmd = mtmd
        self.embeddings: Any = None
        self._keep(mtmd.mtmd_input_chunk_copy(chunk))

    def settle(self, embeddings: Any) -> None:
        """It has been encoded: what it shows is not needed any more."""
        shown = self._finalizer
        self._keep(self._mtmd.mtmd_input_chunk_get_placeholder(self.chunk))
        shown()
        self.embeddings = embeddings

    def _keep(self, chunk: Any) -> None:
        self.chunk = chunk
        self._finalizer = weakref.finalize(self, self._mtmd.mtmd_input_chunk_free, chunk)
        self._finalizer.atexit = False


def _tokens(mtmd: Any, chunk: Any) -> tuple[int, ...]:
    count = ctypes.c_size_t(0)
    tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
    return tuple(tokens[: count.value])
