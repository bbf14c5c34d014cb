"""Adapters, projectors and draft models that go with the first model of a bundle: looked into, and held against it.

What does not fit is refused here, at the build, with llama.cpp's own rules: `llama_adapter_lora_init` for adapters,
`common_speculative_are_compatible` for draft models (llama.cpp's src/llama-adapter.cpp, common/speculative.cpp).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bundler.choosing.models import ChosenModel, file_name, free_entry
from bundler.errors import PartMisfit, PartNameTaken
from bundler.file.baked import Part, PartRole
from bundler.file.content import Content
from bundler.gguf import GGUF, FileKind, ModelInfo, summarize, weights_header
from runtime.memory.sizes import keeps_state

_KINDS: dict[PartRole, tuple[FileKind, str]] = {
    "lora": (FileKind.ADAPTER, "a LoRA adapter"),
    "projector": (FileKind.PROJECTOR, "a projector"),
    "draft": (FileKind.MODEL, "a model"),
}
_VOCABULARY_SLACK = 128
"""Tokens by which a draft model's vocabulary may differ in length (`SPEC_VOCAB_MAX_SIZE_DIFFERENCE`)."""


@dataclass(frozen=True, slots=True)
class ChosenPart:
    """A part that goes into the bundle: its name for people, the entry it becomes, and where its bytes are."""

    part: Part
    name: str
    entry: str
    info: ModelInfo
    content: Content


def choose_parts(parts: Sequence[Part], models: Sequence[ChosenModel]) -> tuple[ChosenPart, ...]:
    """`parts` of the first of `models`. Raises `PartMisfit`, `PartNameTaken`, and what GGUFs raise."""
    chosen: list[ChosenPart] = []
    for part in parts:
        header, content = weights_header(part.path, part.offset, part.size)
        info = summarize(header)
        kind, wanted = _KINDS[part.role]
        if info.kind is not kind:
            raise PartMisfit(part.path, f"is of the kind {info.kind.value}, and not {wanted}")
        problem = _CHECKS[part.role](header, info, models[0])
        if problem:
            raise PartMisfit(part.path, f"does not fit {models[0].name}: {problem}")
        entry = free_entry(part.name, [model.entry for model in models] + [other.entry for other in chosen])
        one = ChosenPart(part, file_name(part.name), entry, info, content)
        if any(other.part.role == part.role and other.name == one.name for other in chosen):
            raise PartNameTaken(part.path, one.name)
        chosen.append(one)
    return tuple(chosen)


def _lora_problem(header: GGUF, info: ModelInfo, model: ChosenModel) -> str:
    if header.metadata.get("adapter.type") != "lora":
        return "it is an adapter of another kind than LoRA"
    if info.architecture != model.info.architecture:
        return f"it is for the architecture {info.architecture}, and the model is {model.info.architecture}"
    shapes = {tensor.name: tensor.shape for tensor in model.header.tensors}
    for tensor in header.tensors:
        target, _dot, half = tensor.name.rpartition(".")
        if half not in ("lora_a", "lora_b"):
            continue
        shape = shapes.get(target)
        if shape is None:
            return f"the model has no tensor {target}"
        if target == "token_embd.weight":  # looked up, not multiplied with: its halves are the other way round
            continue
        dimension = 0 if half == "lora_a" else 1
        if len(shape) < 2 or len(tensor.shape) < 2 or tensor.shape[dimension] != shape[dimension]:
            return f"{tensor.name} has the shape {list(tensor.shape)}, and the model's tensor {list(shape)}"
    return ""


def _draft_problem(_header: GGUF, info: ModelInfo, model: ChosenModel) -> str:
    if keeps_state(info.layers):
        return "its memory is a state, which cannot take back a wrong guess"
    if info.tokenizer != model.info.tokenizer:
        return f"its tokens are of the kind {info.tokenizer}, and the model's {model.info.tokenizer}"
    mine, its = model.info.vocabulary_size or 0, info.vocabulary_size or 0
    if abs(mine - its) > _VOCABULARY_SLACK:
        return f"it knows {its:,} tokens, and the model {mine:,}"
    return ""


def _projector_problem(_header: GGUF, _info: ModelInfo, _model: ChosenModel) -> str:
    """Nothing in its header says for certain what it fits."""
    return ""


_CHECKS = {"lora": _lora_problem, "draft": _draft_problem, "projector": _projector_problem}
