"""What a person wants to know about a model, from its header.

Knows which metadata keys say it. Refuses to know how it is shown, and what it costs to run
(`memory.py`).

The keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and `LLM_KV_NAMES` in llama.cpp's
src/llama-arch.cpp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from bundler.errors import MalformedGGUF
from bundler.gguf.fields import Fields
from bundler.gguf.header import GGUF, ValueType
from bundler.gguf.types import FILE_TYPE_GUESSED, FILE_TYPES
from runtime.memory.layers import ENCODERS, MAX_LAYERS, LayerCache, attention_shape, layer_caches

_PART_SUFFIX = re.compile(r"-\d{5}-of-\d{5}$")  # llama_split_path


_SENSES = {"sees": "clip.has_vision_encoder", "hears": "clip.has_audio_encoder"}
"""Keys of projectors (tools/mtmd/clip-impl.h in llama.cpp's sources)."""


class FileKind(Enum):
    """What a GGUF is for."""

    MODEL = "model"
    ADAPTER = "adapter"  # a LoRA: changes a model
    PROJECTOR = "projector"  # turns images or sound into a model's embeddings
    VOCABULARY = "vocabulary"  # a tokenizer without weights


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model's header, summed up. None means that the file does not say.

    parameter_count       elements of all tensors
    license               usually an SPDX id, or "other" with a name and a link
    quantization          "Q4_K_M", "F16", …: as the file says, else the type that most bytes are of;
                          "none" without tensors
    context_length        tokens that the model was trained for
    block_count           layers, those for multi-token prediction included
    head_count, head_count_kv   one number for each layer
    key_length, value_length    elements per head
    expert_count          0 for dense models
    sliding_window        tokens; of the layers that have one (see `layers`)
    chat_template         Jinja2; `named_template_count` counts the alternatives to it
    senses                of a projector: what a model does with it, "sees" and "hears"
    weights_size          bytes of all tensors; `file_size` of the whole GGUF
    layers                what each layer keeps in memory
    """

    kind: FileKind
    architecture: str
    name: str
    size_label: str | None
    license: str | None
    license_name: str | None
    license_link: str | None
    parameter_count: int
    quantization: str
    context_length: int | None
    embedding_length: int | None
    feed_forward_length: int | None
    block_count: int | None
    head_count: tuple[int, ...]
    head_count_kv: tuple[int, ...]
    key_length: int
    value_length: int
    expert_count: int
    expert_used_count: int
    sliding_window: int | None
    vocabulary_size: int | None
    tokenizer: str | None
    chat_template: str | None
    named_template_count: int
    is_embedding_model: bool
    senses: tuple[str, ...]
    weights_size: int
    file_size: int
    layers: tuple[LayerCache, ...]


def summarize(gguf: GGUF) -> ModelInfo:
    """Sum up a header.

    Raises MalformedGGUF, naming the key and what was expected, when a value that is needed has the
    wrong type or is out of range; also when there is no `general.architecture`.
    """
    fields = Fields(gguf)
    kind = _kind(fields, gguf)
    layer_count = fields.number("[llm].block_count")
    if layer_count is not None and layer_count > MAX_LAYERS:
        raise MalformedGGUF(gguf.path, f"it claims {layer_count:,} layers; llama.cpp loads at most {MAX_LAYERS}")
    embedding_length = fields.number("[llm].embedding_length")
    run_layers = layer_count or 0 if kind is FileKind.MODEL else 0
    shape = attention_shape(fields, run_layers, embedding_length or 0)
    return ModelInfo(
        kind=kind,
        architecture=fields.architecture,
        name=fields.text("general.name") or _PART_SUFFIX.sub("", gguf.path.stem),
        size_label=fields.text("general.size_label"),
        license=fields.text("general.license"),
        license_name=fields.text("general.license.name"),
        license_link=fields.text("general.license.link"),
        parameter_count=sum(tensor.element_count for tensor in gguf.tensors),
        quantization=_quantization(fields, gguf),
        context_length=fields.number("[llm].context_length", least=1),
        embedding_length=embedding_length,
        feed_forward_length=_feed_forward_length(fields, run_layers),
        block_count=layer_count,
        head_count=shape.head_counts,
        head_count_kv=shape.kv_head_counts,
        key_length=shape.key_length,
        value_length=shape.value_length,
        expert_count=fields.number("[llm].expert_count") or 0,
        expert_used_count=fields.number("[llm].expert_used_count") or 0,
        sliding_window=fields.number("[llm].attention.sliding_window") or None,
        vocabulary_size=_vocabulary_size(fields),
        tokenizer=fields.text("tokenizer.ggml.model"),
        chat_template=fields.text("tokenizer.chat_template"),
        named_template_count=fields.keys_below("tokenizer.chat_template."),
        is_embedding_model=_is_embedding_model(fields),
        senses=tuple(word for word, key in _SENSES.items() if fields.flag(key)),
        weights_size=sum(tensor.size for tensor in gguf.tensors),
        file_size=gguf.size,
        layers=layer_caches(fields, shape, embedding_length or 0),
    )


def _kind(fields: Fields, gguf: GGUF) -> FileKind:
    stated = fields.text("general.type")
    if stated == "adapter":
        return FileKind.ADAPTER
    if stated == "mmproj" or fields.architecture == "clip":
        return FileKind.PROJECTOR
    return FileKind.MODEL if gguf.tensors else FileKind.VOCABULARY


def _quantization(fields: Fields, gguf: GGUF) -> str:
    stated = fields.number("general.file_type")
    if stated is not None and stated & ~FILE_TYPE_GUESSED in FILE_TYPES:
        return FILE_TYPES[stated & ~FILE_TYPE_GUESSED]
    bytes_by_type: dict[str, int] = {}
    for tensor in gguf.tensors:
        bytes_by_type[tensor.type.name] = bytes_by_type.get(tensor.type.name, 0) + tensor.size
    return max(bytes_by_type, key=bytes_by_type.__getitem__, default="none")


def _feed_forward_length(fields: Fields, layers: int) -> int | None:
    """The widest layer's, counting the experts that one token passes through."""
    if layers == 0:
        return None
    dense = fields.numbers("[llm].feed_forward_length", layers) or (0,)
    expert = fields.number("[llm].expert_feed_forward_length") or 0
    return max(*dense, expert * (fields.number("[llm].expert_used_count") or 0)) or None


def _vocabulary_size(fields: Fields) -> int | None:
    tokens = fields.length("tokenizer.ggml.tokens", ValueType.STRING)
    return fields.number("[llm].vocab_size") if tokens is None else tokens


def _is_embedding_model(fields: Fields) -> bool:
    """Whether the model turns text into one vector: an encoder, or one with a pooling (0: none)."""
    return fields.architecture in ENCODERS or bool(fields.number("[llm].pooling_type"))
