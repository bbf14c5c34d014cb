"""`loaf inspect`: what is in a GGUF or a bundle, and how much memory it needs.

Knows what people want to see. Refuses to know how a GGUF is read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundler.errors import SourceNotFound
from bundler.freeze.variants import describe_variants
from bundler.gguf import (
    PROGRAM,
    SEEING,
    FileKind,
    ModelInfo,
    contexts_of_interest,
    estimate_memory,
    read_gguf,
    summarize,
    weights_content,
)
from bundler.text import as_json, human_count, human_size
from runtime.bundle import LICENSE_TEXT, README, Bundle, Model, Role, Runtime, check_beside, is_bundle, open_bundle
from runtime.cli.arguments import shown_arguments
from runtime.errors import escaped

_PART_NAMES: dict[Role, str] = {"lora": "LoRA adapter", "draft": "draft model", "projector": "projector"}


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that a context of `context` tokens needs: `program` is what a launch takes with any model, and tables of
    vocabularies; `projector` is all of what a model sees with, but for what looking at a picture is computed in."""

    context: int
    weights: int
    projector: int
    kv_cache: int
    compute: int
    program: int
    total: int


@dataclass(frozen=True, slots=True)
class InspectedModel:
    """One model in the file. `name` is what clients call it, `entry` its part of a bundle: None where it is a GGUF.

    `origin`: where a bundle's model is from, "" where unknown.
    """

    name: str | None
    entry: str | None
    info: ModelInfo
    memory: tuple[MemoryNeed, ...]
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The file, what its models are, and the bundle if it is one.

    `together` is what all models of a bundle need at once, each with so much context, or its own where that is less;
    empty where there is but one.
    """

    path: Path
    size: int
    models: tuple[InspectedModel, ...]
    together: tuple[MemoryNeed, ...]
    bundle: Bundle | None


def inspect(path: Path) -> Report:
    """Look into the GGUF or bundle at `path`; headers only. Raises `LoafError`, `OSError`."""
    if not path.is_file():
        raise SourceNotFound(str(path), "no such file", "Name a .gguf file or a bundle.")
    if is_bundle(path):
        bundle = open_bundle(path)
        check_beside(bundle)
        found = [(model, _info(bundle, model)) for model in bundle.served_models()]
        beside = _beside(bundle)
        models = tuple(
            InspectedModel(model.name, model.entry, info, _needs(info, _Beside() if number else beside), model.origin)
            for number, (model, info) in enumerate(found)
        )
        together = _needs_together([info for _model, info in found], beside)
        return Report(path, path.stat().st_size, models, together, bundle)
    info, _content = weights_content(path)
    return Report(path, path.stat().st_size, (InspectedModel(None, None, info, _needs(info, _Beside())),), (), None)


def to_json(report: Report) -> str:
    """For programs: sizes in bytes, lengths in tokens."""
    fields: dict[str, Any] = {
        "path": str(report.path),
        "size": report.size,
        "models": [_model_fields(model) for model in report.models],
        "memory_together": [dataclasses.asdict(need) for need in report.together],
    }
    if report.bundle is not None:
        manifest = report.bundle.manifest
        fields["bundle"] = {
            "name": manifest.name,
            "build_id": manifest.build_id,
            "loaf": manifest.loaf,
            "args": shown_arguments(report.bundle.args),
            "system": manifest.system,
            "chat_template": manifest.chat_template,
            "warm": None if manifest.warm is None else {"tokens": manifest.warm.tokens, "entry": manifest.warm.entry},
            "parts": [
                {"name": part.name, "role": part.role, "entry": part.entry, "scale": part.scale}
                for part in manifest.models
                if part.role != "model"
            ],
            "runtimes": [_program_fields(one) for one in manifest.runtimes],
            "builders": [_program_fields(one) for one in manifest.builders],
            "packs": [{"platform": one.platform, "backend": one.backend, "needs": one.needs} for one in manifest.packs],
            "media": [{"platform": one.platform, "entry": one.entry} for one in manifest.media],
            "entries": {
                entry.name or "launcher": {"size": entry.size, "sha256": entry.sha256, "file": entry.file}
                for entry in manifest.entries
            },
        }
    return as_json(fields)


def to_text(report: Report) -> str:
    """For people."""
    lines = [f"{report.path}  {human_size(report.size)}"]
    if report.bundle is not None:
        lines += _bundle_lines(report.bundle)
    for model in report.models:
        lines += ["", *_model_lines(model)]
    if report.together:
        lines += ["", "all models at once", *map(_memory_line, report.together)]
    return "\n".join(map(escaped, lines))


def _info(bundle: Bundle, model: Model) -> ModelInfo:
    place = bundle.place_of(model.entry)
    return summarize(read_gguf(place.path, offset=place.offset, size=place.size))


@dataclass(frozen=True, slots=True)
class _Beside:
    """What is loaded with a bundle's first model: what guesses for it, and how many bytes what it sees with has."""

    draft: ModelInfo | None = None
    projector: int = 0


def _beside(bundle: Bundle) -> _Beside:
    draft, projector = bundle.draft(), bundle.projector()
    return _Beside(
        None if draft is None else _info(bundle, draft),
        0 if projector is None else bundle.place_of(projector.entry).size,
    )


def _needs(info: ModelInfo, beside: _Beside) -> tuple[MemoryNeed, ...]:
    return tuple(_need(context, [info], beside) for context in contexts_of_interest(info))


def _needs_together(models: Sequence[ModelInfo], beside: _Beside) -> tuple[MemoryNeed, ...]:
    if len(models) < 2:
        return ()
    contexts = sorted({context for info in models for context in contexts_of_interest(info)})
    return tuple(_need(context, models, beside) for context in contexts)


def _need(context: int, models: Sequence[ModelInfo], beside: _Beside) -> MemoryNeed:
    """Of all `models`, each with at most the context that it was trained for; a draft model has the first one's."""
    contexts = [min(context, info.context_length or context) for info in models]
    pairs = zip([*models, *([beside.draft] if beside.draft else [])], [*contexts, contexts[0]], strict=False)
    estimates = [estimate_memory(info, context) for info, context in pairs]
    program = PROGRAM + (SEEING if beside.projector else 0)
    return MemoryNeed(
        context=context,
        weights=sum(estimate.weights for estimate in estimates),
        projector=beside.projector,
        kv_cache=sum(estimate.kv_cache for estimate in estimates),
        compute=sum(estimate.compute for estimate in estimates),
        program=program + sum(estimate.vocabulary for estimate in estimates),
        total=program + beside.projector + sum(estimate.total for estimate in estimates),
    )


def _program_fields(program: Runtime) -> dict[str, Any]:
    return {
        "platform": program.platform,
        "glibc": program.glibc,
        "python": program.python,
        "packages": {package.name: package.version for package in program.packages},
        "variants": list(program.variants),
    }


def _model_fields(model: InspectedModel) -> dict[str, Any]:
    info = {
        field.name: getattr(model.info, field.name)
        for field in dataclasses.fields(model.info)
        if field.name not in ("layers", "kind")
    }
    memory = [dataclasses.asdict(need) for need in model.memory]
    of_bundle = {} if model.name is None else {"served_as": model.name, "origin": model.origin}
    return {**of_bundle, "entry": model.entry, "kind": model.info.kind.value, **info, "memory": memory}


def _bundle_lines(bundle: Bundle) -> list[str]:
    manifest = bundle.manifest
    lines = [_line("bundle", f"{manifest.name}, made by loaf {manifest.loaf}, build {manifest.build_id[:16]}")]
    of_programs = "runs on" if manifest.models else "bundles for"
    for what, programs in (("builds on", manifest.builders), (of_programs, manifest.runtimes)):
        for one in programs:
            size = human_size(bundle.spans[one.entry].size)
            lines.append(_line(what, f"{one.platform}, {one.c_library} ({size})"))
            if one.variants:
                lines.append(_line("computing with", describe_variants(one.platform, one.variants)))
    for pack in manifest.packs:
        size = human_size(bundle.spans[pack.entry].size)
        lines.append(_line("on GPUs", f"{pack.backend} on {pack.platform}, needs {', '.join(pack.needs)} ({size})"))
    for media in manifest.media:
        size = human_size(bundle.spans[media.entry].size)
        lines.append(_line("for pictures", f"on {media.platform} ({size})"))
    for entry in bundle.beside():
        lines.append(_line("beside it", f"{entry.file} ({entry.name}, {human_size(entry.size)})"))
    if bundle.args.strip():
        lines.append(_line("arguments", shown_arguments(bundle.args)))
    if manifest.system:
        lines.append(_line("system prompt", manifest.system))
    if manifest.chat_template is not None:
        lines.append(_line("chat template", f"{len(manifest.chat_template):,} characters, not the model's own"))
    if manifest.warm is not None:
        size = human_size(bundle.spans[manifest.warm.entry].size)
        lines.append(_line("computed", f"{manifest.warm.tokens:,} tokens that prompts begin with ({size})"))
    lines += [_part_line(bundle, part) for part in manifest.models if part.role != "model"]
    for name, what in ((LICENSE_TEXT, "licence text"), (README, "about it")):
        if name in bundle.spans:
            lines.append(_line(what, f"{name}, {human_size(bundle.spans[name].size)}: unzip -p {bundle.path} {name}"))
    return lines


def _part_line(bundle: Bundle, part: Model) -> str:
    size = human_size(bundle.place_of(part.entry).size)
    what = f"{part.name}, {_of_part(bundle, part)}"
    return _line(_PART_NAMES[part.role], f"{what} ({part.entry}, {size})")


def _of_part(bundle: Bundle, part: Model) -> str:
    if part.role == "projector":
        place = bundle.place_of(part.entry)
        return _senses(summarize(read_gguf(place.path, offset=place.offset, size=place.size)))
    return f"scale {part.scale:g}" if part.role == "lora" else "which guesses what comes next"


def _senses(info: ModelInfo) -> str:
    return f"with which the model {' and '.join(info.senses) or 'neither sees nor hears'}"


def _model_lines(model: InspectedModel) -> list[str]:
    info = model.info
    facts = [
        ("model", info.name if model.entry is None else f"{model.name}: {info.name} ({model.entry})"),
        ("kind", f"{info.kind.value}, {_senses(info)}" if info.kind is FileKind.PROJECTOR else info.kind.value),
        ("architecture", f"{info.architecture}, {info.block_count or '?'} layers"),
        ("parameters", f"{human_count(info.parameter_count)} ({info.parameter_count:,})"),
        ("quantization", f"{info.quantization}, weights {human_size(info.weights_size)}"),
        ("context", f"{info.context_length:,} tokens" if info.context_length else "not stated"),
        ("vocabulary", f"{info.vocabulary_size:,} tokens" if info.vocabulary_size else "not stated"),
        ("chat template", f"{len(info.chat_template):,} characters" if info.chat_template else _no_template(info)),
        ("licence", info.license or info.license_name or info.license_link or "not stated"),
    ]
    if model.origin:
        facts.append(("from", model.origin))
    lines = [_line(name, text) for name, text in facts]
    return lines + [_memory_line(need) for need in model.memory]


def _no_template(info: ModelInfo) -> str:
    generates = info.kind is FileKind.MODEL and info.layers and not info.is_embedding_model
    return "none: a base model, which goes on with text and was not taught to answer" if generates else "none"


def _memory_line(need: MemoryNeed) -> str:
    sees = {"projector": need.projector} if need.projector else {}
    parts = {"weights": need.weights, **sees, "KV cache": need.kv_cache, "computing": need.compute}
    listed = ", ".join(f"{name} {human_size(size)}" for name, size in (parts | {"program": need.program}).items())
    return _line(f"memory at {need.context:,}", f"{human_size(need.total)} ({listed})")


def _line(name: str, text: str) -> str:
    return f"  {name:<18} {text}"
