"""Flags of the engine and of GPUs into settings: how the model is loaded, what of, and where it computes.

Knows which of them exclude each other. Refuses to know the machine, and what a model says of itself. Raises click's
errors for what is wrong with a flag.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import click

from runtime.engine.checkpoints import CheckpointLimits
from runtime.engine.settings import ControlVectors, LoadSettings, Pooling, ProjectorSettings, Rope
from runtime.engine.weights import Adapter, Weights
from runtime.memory.layers import MAX_LAYERS
from runtime.settings import EngineSettings, GpuSettings


def engine_settings(flags: dict[str, Any]) -> EngineSettings:
    """How the model is loaded, and what of its context is not left to the launch, of all `flags`."""
    return EngineSettings(
        n_ctx=flags["ctx_size"] or None,
        n_slots=flags["parallel"] or None,
        n_batch=flags["batch_size"],
        n_ubatch=flags["ubatch_size"],
        n_threads=flags["threads"] if flags["threads"] > 0 else None,
        flash_attention={"on": True, "off": False, "auto": None}[flags["flash_attn"]],
        cache_type_k=flags["cache_type_k"],
        cache_type_v=flags["cache_type_v"],
        adapters=_adapters(flags["lora"], flags["lora_scaled"]),
        pooling=_pooling(flags["pooling"], flags["reranking"]),
        context_shift=flags["context_shift"],
        shelf_bytes=_shelf_bytes(flags["cache_ram"]),
        disk=flags["cache_disk"],
        checkpoints=CheckpointLimits(
            flags["ctx_checkpoints"], flags["checkpoint_min_step"], _shelf_bytes(flags["cache_ram"])
        ),
        swa_full=flags["swa_full"],
        max_draft=flags["draft_max"],
        looks_up=flags["lookup"],
        draft=flags["draft"],
        min_draft=flags["draft_min"],
        least_probability=flags["draft_p_min"],
        cache_beside_layers=flags["kv_offload"],
        rope=_rope(flags),
        control=_control(flags),
        projector=_projector(flags["mmproj"], flags["no_mmproj"]),
        projects=not flags["no_mmproj"],
        looking=_looking(flags["image_min_tokens"], flags["image_max_tokens"]),
        load=LoadSettings(
            mmap=not flags["no_mmap"],
            mlock=flags["mlock"],
            repack=not flags["no_repack"],
            numa=flags["numa"],
            overrides=tuple(one for given in flags["override_kv"] for one in given),
        ),
    )


def gpu_settings(flags: dict[str, Any]) -> GpuSettings:
    """Where it computes, and what goes elsewhere, of all `flags`."""
    return GpuSettings(
        backend=flags["gpu"],
        devices=flags["device"],
        n_layers=flags["gpu_layers"],
        split_mode=flags["split_mode"],
        main_gpu=flags["main_gpu"],
        tensor_split=flags["tensor_split"] or (),
        workers=flags["rpc"] or (),
        cpu_experts=_cpu_experts(flags),
        tensor_buffers=tuple(one for given in flags["override_tensor"] for one in given),
        spare=flags["fit_target"] or (),
    )


def _rope(flags: dict[str, Any]) -> Rope:
    scale, freq_scale = flags["rope_scale"], flags["rope_freq_scale"]
    if scale is not None and freq_scale is not None:
        raise click.UsageError("Either --rope-scale or --rope-freq-scale, not both.")
    return Rope(
        scaling=flags["rope_scaling"],
        freq_base=flags["rope_freq_base"],
        freq_scale=freq_scale if scale is None else 1 / scale,
        yarn_orig_ctx=flags["yarn_orig_ctx"],
        yarn_ext_factor=flags["yarn_ext_factor"],
        yarn_attn_factor=flags["yarn_attn_factor"],
        yarn_beta_fast=flags["yarn_beta_fast"],
        yarn_beta_slow=flags["yarn_beta_slow"],
    )


def _control(flags: dict[str, Any]) -> ControlVectors:
    scaled = [_scaled(text, "--control-vector-scaled") for text in flags["control_vector_scaled"]]
    files = (*((path, 1.0) for path in flags["control_vector"]), *scaled)
    first, last = flags["control_vector_layer_range"] or (1, None)
    if last is not None and (last < first or not files):
        reason = "has no layers in it" if files else "needs --control-vector too"
        raise click.UsageError(f"--control-vector-layer-range {first} {last} {reason}.")
    return ControlVectors(files, first, last)


def _cpu_experts(flags: dict[str, Any]) -> int | None:
    if not flags["cpu_moe"]:
        number: int | None = flags["n_cpu_moe"]
        return number
    if flags["n_cpu_moe"] is not None:
        raise click.UsageError("Either --cpu-moe or --n-cpu-moe, not both.")
    return MAX_LAYERS


def _shelf_bytes(mebibytes: int) -> int:
    return sys.maxsize if mebibytes < 0 else mebibytes * 2**20


def _adapters(plain: tuple[Path, ...], scaled: tuple[str, ...]) -> tuple[Adapter, ...]:
    adapters = [Adapter(path.stem, Weights(path)) for path in plain]
    for path, scale in (_scaled(text, "--lora-scaled") for text in scaled):
        adapters.append(Adapter(path.stem, Weights(path), scale))
    return tuple(adapters)


def _scaled(text: str, flag: str) -> tuple[Path, float]:
    name, colon, number = text.rpartition(":")
    try:
        scale = float(number)
    except ValueError:
        scale = math.nan
    if not colon or not math.isfinite(scale):
        raise click.BadParameter(f"{text!r}: must be FILE:SCALE, as in adapter.gguf:0.5", param_hint=flag)
    return Path(name), scale


def _projector(given: Path | None, leaves_alone: bool) -> Weights | None:
    if given is not None and leaves_alone:
        raise click.UsageError("Either --mmproj or --no-mmproj, not both.")
    return None if given is None else Weights(given)


def _looking(at_least: int | None, at_most: int | None) -> ProjectorSettings:
    if at_least is not None and at_most is not None and at_least > at_most:
        raise click.UsageError("--image-min-tokens is more than --image-max-tokens.")
    return ProjectorSettings(min_tokens=at_least, max_tokens=at_most)


def _pooling(given: Pooling | None, reranking: bool) -> Pooling | None:
    if not reranking:
        return given
    if given not in (None, "rank"):
        raise click.UsageError(f"--reranking is --pooling rank, not {given}.")
    return "rank"
