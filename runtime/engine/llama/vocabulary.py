"""A model's vocabulary: text into tokens, tokens into bytes, and which tokens have a meaning of their own.

May be asked from any thread: llama.cpp only reads it.
"""

from __future__ import annotations

import ctypes
from array import array
from typing import Any

from runtime.engine.errors import PromptTooLong
from runtime.engine.facts import InfillTokens
from runtime.engine.wanted import check_wanted

_SHORT = 1024 * 1024
"""Bytes of a text that is turned into tokens in any case: it takes a tenth of a second, and 40 MB meanwhile."""

_DROPPED = 256
"""Bytes that a token may stand for, more or less, in vocabularies that drop some: white space, or an unknown word."""


class Vocabulary:
    """`size` tokens; `ends` of them end a generation, and those `suppressed` are never to be said."""

    def __init__(self, lib: Any, handle: Any) -> None:
        self._lib = lib
        self.handle = handle
        self.size: int = lib.llama_vocab_n_tokens(handle)
        self.ends = frozenset(token for token in range(self.size) if lib.llama_vocab_is_eog(handle, token))
        self.suppressed = self._suppressed()
        self._said: dict[int, bytes] = {}
        self._written: dict[int, bytes] = {}
        """The pieces that have been asked for, without special ones and with: each token of every stream is."""
        self._lengths: array[int] | None = None
        self._longest: int | None = None
        self.most_tokens: int | None = None
        """What anything made of a text may have, from when there is a context."""

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:
        """Token ids of `text`; `add_special` adds BOS and EOS as the model wants them.

        Raises `PromptTooLong` for a text that cannot fit, before llama.cpp takes 40 times its bytes to say so; and
        `NobodyWaits`.
        """
        check_wanted()
        self.check_room(len(text))  # characters have one byte at least
        data = text.encode("utf-8", "replace")
        self.check_room(len(data))
        room = len(data) + 16
        while True:
            buffer = (self._lib.llama_token * room)()
            count = self._lib.llama_tokenize(self.handle, data, len(data), buffer, room, add_special, parse_special)
            if count >= 0:
                return tuple(buffer[:count])
            room = -count

    def check_room(self, n_bytes: int) -> None:
        """Raises `PromptTooLong` where a text of `n_bytes` has more tokens than fit, whatever it says.

        Asked of a long text for the first time, it takes long.
        """
        if self.most_tokens is None or n_bytes <= max(_SHORT, self.most_tokens):
            return
        if self._longest is None:
            longest = max(len(self._piece(token, special=True)) for token in range(self.size))
            drops = self._lib.llama_vocab_type(self.handle) in (
                self._lib.LLAMA_VOCAB_TYPE_WPM,
                self._lib.LLAMA_VOCAB_TYPE_UGM,
            )
            self._longest = max(longest, _DROPPED) if drops else longest
        if n_bytes > (self.most_tokens + 1) * self._longest:
            raise PromptTooLong(-(-n_bytes // self._longest), self.most_tokens)

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes that `token` stands for; control tokens stand for nothing unless `special`."""
        known = self._written if special else self._said
        piece = known.get(token)
        if piece is None:
            piece = known[token] = self._piece(token, special=special)
        return piece

    def longer_than(self, length: int) -> list[int]:
        """The tokens that stand for more characters than that, in order. Asked for the first time, it takes long."""
        if self._lengths is None:
            pieces = (self._piece(token, special=True) for token in range(self.size))
            self._lengths = array("L", (len(piece.decode("utf-8", "replace")) for piece in pieces))
        return [token for token, characters in enumerate(self._lengths) if characters > length]

    def pair(self, query: str, document: str) -> tuple[int, ...]:
        """Both in one text, as a reranker reads them: llama-server's `format_prompt_rerank` (server-common.cpp)."""
        lib, handle = self._lib, self.handle
        bos, sep, eos = lib.llama_vocab_bos(handle), lib.llama_vocab_sep(handle), lib.llama_vocab_eos(handle)
        begin = (bos,) if lib.llama_vocab_get_add_bos(handle) else ()
        end = (eos if eos >= 0 else sep,) if lib.llama_vocab_get_add_eos(handle) else ()
        between = (*end, sep) if lib.llama_vocab_get_add_sep(handle) else end
        first = self.tokenize(query, add_special=False, parse_special=False)
        second = self.tokenize(document, add_special=False, parse_special=False)
        return (*begin, *first, *between, *second, *end)

    def infill_tokens(self) -> InfillTokens | None:
        """How a gap is marked, None where the model cannot fill one."""
        lib, handle = self._lib, self.handle
        marks = (lib.llama_vocab_fim_pre(handle), lib.llama_vocab_fim_suf(handle), lib.llama_vocab_fim_mid(handle))
        if min(marks) < 0:
            return None
        repository, file = lib.llama_vocab_fim_rep(handle), lib.llama_vocab_fim_sep(handle)
        return InfillTokens(
            *marks,
            repository=None if repository < 0 else repository,
            file=None if file < 0 else file,
            bos=lib.llama_vocab_bos(handle) if lib.llama_vocab_get_add_bos(handle) else None,
        )

    def text_of(self, token: int) -> str:
        """The text of a token that has a meaning of its own, "" where there is none."""
        return "" if token < 0 else self.piece(token, special=True).decode("utf-8", "replace")

    def _piece(self, token: int, *, special: bool) -> bytes:
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = self._lib.llama_token_to_piece(self.handle, token, buffer, room, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            room = -count

    def _suppressed(self) -> tuple[int, ...]:
        """Tokens that the GGUF says must never be sampled (`tokenizer.ggml.suppress_tokens`)."""
        count = ctypes.c_int32(0)
        tokens = self._lib.llama_vocab_get_suppress_tokens(self.handle, ctypes.byref(count))
        return tuple(tokens[: count.value]) if count.value else ()
