"""Vocabularies for models of noise: another model's, or as many made-up words as are wanted.

The size matters, because what sampling costs grows with it. Knows the tokenizers' keys and token types of llama.cpp
(src/llama-arch.cpp, `llama_token_type` in include/llama.h).
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path

from entries import number, numbers, reals, switch, text, texts

from bundler.gguf.header import ArrayValue
from bundler.gguf.reader import read_gguf

_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_SPACE = "\u2581"  # what SentencePiece, and llama.cpp's WordPiece, write for a space


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The metadata entries of a tokenizer, and the number of its tokens."""

    keys: tuple[bytes, ...]
    size: int


def copied(path: Path) -> Vocabulary:
    """The tokenizer of the GGUF `path`, byte for byte."""
    gguf = read_gguf(path)
    content = path.read_bytes()
    keys = tuple(
        content[entry.offset : entry.offset + entry.size]
        for entry in gguf.key_ranges
        if entry.key.startswith("tokenizer.")
    )
    tokens = gguf.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, ArrayValue)
    return Vocabulary(keys, tokens.length)


def sentence_pieces(size: int) -> Vocabulary:
    """Llama 2's kind of vocabulary: three control tokens, 256 bytes, then words."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    types = [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256]
    words = made_up_words(size - len(tokens))
    keys = (
        text("tokenizer.ggml.model", "llama"),
        texts("tokenizer.ggml.tokens", [*tokens, *words]),
        reals("tokenizer.ggml.scores", [0.0] * size),
        numbers("tokenizer.ggml.token_type", [*types, *[_NORMAL] * len(words)]),
        number("tokenizer.ggml.bos_token_id", 1),
        number("tokenizer.ggml.eos_token_id", 2),
        number("tokenizer.ggml.unknown_token_id", 0),
        switch("tokenizer.ggml.add_bos_token", False),
    )
    return Vocabulary(keys, size)


def word_pieces(size: int) -> Vocabulary:
    """BERT's kind of vocabulary: five control tokens, then words."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = made_up_words(size - len(tokens))
    keys = (
        text("tokenizer.ggml.model", "bert"),
        texts("tokenizer.ggml.tokens", [*tokens, *words]),
        numbers("tokenizer.ggml.token_type", [*[_CONTROL] * len(tokens), *[_NORMAL] * len(words)]),
        number("tokenizer.ggml.token_type_count", 2),
        number("tokenizer.ggml.padding_token_id", 0),
        number("tokenizer.ggml.unknown_token_id", 1),
        number("tokenizer.ggml.bos_token_id", 2),
        number("tokenizer.ggml.seperator_token_id", 3),  # so spelled in the format
        number("tokenizer.ggml.mask_token_id", 4),
    )
    return Vocabulary(keys, size)


def made_up_words(count: int) -> list[str]:
    """Different words of four letters: at most 456,976."""
    letters, words = string.ascii_lowercase, []
    for index in range(count):
        word = ""
        for _ in range(4):
            index, letter = divmod(index, len(letters))
            word += letters[letter]
        words.append(_SPACE + word)
    return words
