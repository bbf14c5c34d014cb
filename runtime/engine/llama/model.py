"""Loaded weights: their vocabulary, what they say of themselves, and what is made from them.

A model's vocabulary (`tokenize`, `piece`, `facts`) may be asked from any thread.
"""

from __future__ import annotations

import ctypes
import re
from typing import Any

from runtime.engine.facts import ModelFacts
from runtime.engine.llama.logs import LogTail
from runtime.engine.llama.vocabulary import Vocabulary
from runtime.engine.settings import POOLINGS, Pooling
from runtime.engine.weights import Adapter


class LlamaModel:
    """Weights, their vocabulary, and the adapters loaded for them."""

    def __init__(
        self,
        lib: Any,
        handle: Any,
        logs: LogTail,
        repacked: int,
        adapters: tuple[Adapter, ...],
        adapter_handles: tuple[Any, ...],
    ) -> None:
        self.lib = lib
        self.handle = handle
        self.logs = logs
        self.adapters = adapters
        self.adapter_handles = adapter_handles
        self.vocabulary = Vocabulary(lib, lib.llama_model_get_vocab(handle))
        self.facts = self._read_facts(repacked)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:
        """As `Vocabulary.tokenize`."""
        return self.vocabulary.tokenize(text, add_special=add_special, parse_special=parse_special)

    def check_room(self, n_bytes: int) -> None:
        """As `Vocabulary.check_room`."""
        self.vocabulary.check_room(n_bytes)

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """As `Vocabulary.piece`."""
        return self.vocabulary.piece(token, special=special)

    def ends_generation(self, token: int) -> bool:
        """Whether the model says with `token` that it has finished."""
        return token in self.vocabulary.ends

    def rerank_prompt(self, query: str, document: str) -> tuple[int, ...]:
        """Both in one text, as this model reads them: by its own template, if it has one for it."""
        template = self.lib.llama_model_chat_template(self.handle, b"rerank")
        if not template:
            return self.vocabulary.pair(query, document)
        before, _, after = template.decode("utf-8", "replace").partition("{query}")
        text = before.replace("{document}", document) + query + after.replace("{document}", document)
        return self.tokenize(text, add_special=False, parse_special=True)

    def close(self) -> None:
        """Free the weights and the adapters."""
        self.lib.llama_model_free(self.handle)

    def _read_facts(self, repacked: int) -> ModelFacts:
        lib, handle, vocabulary = self.lib, self.handle, self.vocabulary
        architecture = self._metadata("general.architecture")
        description = ctypes.create_string_buffer(256)
        lib.llama_model_desc(handle, description, len(description))
        template = lib.llama_model_chat_template(handle, None)
        return ModelFacts(
            description=description.value.decode("utf-8", "replace"),
            architecture=architecture,
            quantization=_quantization(description.value.decode("utf-8", "replace")),
            license=self._metadata("general.license"),
            size=lib.llama_model_size(handle),
            parameter_count=lib.llama_model_n_params(handle),
            vocabulary_size=vocabulary.size,
            n_ctx_train=lib.llama_model_n_ctx_train(handle),
            embedding_length=lib.llama_model_n_embd(handle),
            keeps_state=bool(lib.llama_model_is_recurrent(handle) or lib.llama_model_is_hybrid(handle)),
            repacked=repacked,
            window=lib.llama_model_n_swa(handle),
            adds_bos=bool(lib.llama_vocab_get_add_bos(vocabulary.handle)),
            bos=vocabulary.text_of(lib.llama_vocab_bos(vocabulary.handle)),
            eos=vocabulary.text_of(lib.llama_vocab_eos(vocabulary.handle)),
            chat_template=template.decode("utf-8", "replace") if template else None,
            infill=vocabulary.infill_tokens(),
            ends=tuple(sorted(vocabulary.ends)),
            skips_positions=lib.llama_model_rope_type(handle) in (getattr(lib, name) for name in _ROPE_OF_SECTIONS),
            knows_chatml=all(len(self._marked(text)) == 1 for text in _CHATML),
            title=self._metadata("general.name"),
            pooling=_pooling(self._metadata(f"{architecture}.pooling_type")),
        )

    def _marked(self, text: str) -> tuple[int, ...]:
        return self.tokenize(text, add_special=False, parse_special=True)

    def _metadata(self, key: str) -> str:
        """The value of `key` in the GGUF, as text; empty where there is none."""
        buffer = ctypes.create_string_buffer(256)
        length = self.lib.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if length >= 0 else ""


_CHATML = ("<|im_start|>", "<|im_end|>")

_ROPE_OF_SECTIONS = ("LLAMA_ROPE_TYPE_MROPE", "LLAMA_ROPE_TYPE_IMROPE")
"""Rotary positions that are several numbers: those of a picture do not go on with each of its cells."""

_QUANTIZATION = re.compile(r"\b(I?Q\d_\w+|TQ\d_\d|BF16|F16|F32|(?:MX|NV)FP4)(?: - (S)mall| - (M)edium| - (L)arge)?")


def _quantization(description: str) -> str:
    """What `llama_model_desc` says of it ("llama 7B Q4_K - Medium"), as people name it ("Q4_K_M")."""
    found = _QUANTIZATION.search(description)
    return "_".join(filter(None, found.groups())) if found else "unknown"


def _pooling(number: str) -> Pooling | None:
    """What the GGUF says with a number of llama.cpp's `llama_pooling_type`."""
    return POOLINGS[int(number)] if number.isdecimal() and int(number) < len(POOLINGS) else None
