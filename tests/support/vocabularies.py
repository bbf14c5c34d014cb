"""More words for a tiny model, such as the marks that a family of projectors has around its pictures."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

from support.architectures import WIDTH, Blueprint, Noise, Tokenizer
from support.ggufs import string

_USER_DEFINED = 4
"""llama_token_type: a word that is found in every text, as it stands."""


def with_words(blueprint: Blueprint, words: Sequence[str]) -> Blueprint:
    """The same, which knows these words too, in one token each. Its weights are others."""
    size = blueprint.tokenizer.size + len(words)
    added = {
        "tokenizer.ggml.tokens": b"".join(map(string, words)),
        "tokenizer.ggml.token_type": struct.pack(f"<{len(words)}i", *[_USER_DEFINED] * len(words)),
    }
    entries = tuple(_longer(entry, added, len(words)) for entry in blueprint.tokenizer.entries)
    tensors = tuple(
        Noise("token_embd.weight", (WIDTH, size)) if tensor.name == "token_embd.weight" else tensor
        for tensor in blueprint.tensors
    )
    return replace(blueprint, tensors=tensors, tokenizer=Tokenizer(entries, size))


def _longer(entry: bytes, added: dict[str, bytes], count: int) -> bytes:
    """A metadata entry; where something is added to it, it is an array, which says its length before its values."""
    for key, values in added.items():
        head = len(string(key)) + 8
        if entry.startswith(string(key)):
            (length,) = struct.unpack_from("<Q", entry, head)
            return entry[:head] + struct.pack("<Q", length + count) + entry[head + 8 :] + values
    return entry
