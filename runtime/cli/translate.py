"""Flags into settings: what they mean together, and the files that they name, read.

Raises click's errors for what is wrong with a flag, `OSError` for files that cannot be read.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from runtime.bundle import Manifest
from runtime.cli.options import SAMPLING
from runtime.engine.checkpoints import CheckpointLimits
from runtime.engine.settings import ControlVectors, LoadSettings, Pooling, ProjectorSettings, Rope
from runtime.engine.types import SAMPLERS, Sampling
from runtime.engine.weights import Adapter, Weights
from runtime.memory.layers import MAX_LAYERS
from runtime.settings import (
    BatchSettings,
    ChatSettings,
    EngineSettings,
    GpuSettings,
    HubModel,
    LogSettings,
    MediaSources,
    Secret,
    ServerSettings,
    Settings,
    TlsFiles,
    WebModel,
    WorkerSettings,
)

FIELD_NAMES = {
    "temp": "temperature",
    "typical": "typical_p",
    "dynatemp_exp": "dynatemp_exponent",
    "mirostat_ent": "mirostat_tau",
    "mirostat_lr": "mirostat_eta",
}
"""Flags of sampling that are not called as the field of `Sampling` is."""

_TRANSLATED = frozenset(
    {"seed", "samplers", "logit_bias", "dry_sequence_breaker", "grammar_file", "json_schema", "json_schema_file"}
)
"""Flags of sampling that do not become a field as they are."""


def settings_from(manifest: Manifest | None, flags: dict[str, Any]) -> Settings:
    """`flags` by click's names of them; the bundle's `manifest` has defaults for some."""
    system = manifest.system if manifest is not None else None
    prompt, batch = _prompt(flags), _batch(flags)
    if flags["chat"] and not (prompt is None and batch is None):
        raise click.UsageError("Either --chat or something to answer, not both.")
    return Settings(
        model=flags["model"],
        remote=_remote(flags),
        aliases=flags["alias"] or (),
        tags=flags["tags"] or (),
        prompt=prompt,
        images=_images(flags),
        serves=flags["server"] or not flags["chat"],
        chats=_chats(flags),
        raw=flags["raw"],
        batch=batch,
        system=flags["system"] if flags["system"] is not None else system,
        max_tokens=None if flags["n_predict"] < 0 else flags["n_predict"],
        server=_server(flags),
        worker=_worker(flags),
        engine=_engine(flags),
        gpu=_gpu(flags),
        chat=_chat(flags, manifest.chat_template if manifest is not None else None),
        sampling=_sampling(flags),
        log=LogSettings(flags["verbose"], flags["log_file"], flags["log_format"]),
    )


def _remote(flags: dict[str, Any]) -> HubModel | WebModel | None:
    given = [f"--{name.replace('_', '-')}" for name in ("model", "hf_repo", "model_url") if flags[name] is not None]
    if len(given) > 1:
        raise click.UsageError(f"Either {' or '.join(given)}, not both.")
    if flags["model_url"] is not None:
        return WebModel(flags["model_url"])
    found: HubModel | None = flags["hf_repo"]
    return found


def _prompt(flags: dict[str, Any]) -> str | None:
    """What is to be answered, without the newline that files end with; "" for all of standard input."""
    if str(flags["file"]) == "-" and flags["prompt"] is None:
        return ""
    text = _one_of(flags, "prompt", "file")
    return text if flags["file"] is None or text is None else text.removesuffix("\n")


def _images(flags: dict[str, Any]) -> tuple[Path, ...]:
    images: tuple[Path, ...] = flags["image"] or ()
    if images and flags["prompt"] is None and flags["file"] is None:
        raise click.UsageError("--image goes with a prompt (-p, -f).")
    if images and flags["raw"]:
        raise click.UsageError("Either --image or --raw, not both: bare text has no place for a picture.")
    return images


def _batch(flags: dict[str, Any]) -> BatchSettings | None:
    given, output = flags["batch"], flags["output"]
    if given is None and output is None:
        return None
    if given is None or output is None:
        raise click.UsageError("--batch FILE and --output FILE belong together.")
    if flags["prompt"] is not None or flags["file"] is not None:
        raise click.UsageError("Either a prompt or --batch, not both.")
    if given.exists() and output.exists() and given.samefile(output):
        raise click.UsageError("--batch and --output are the same file.")
    return BatchSettings(given, output)


def _chats(flags: dict[str, Any]) -> bool | None:
    """Where no flag says what to do, it is for the terminal to tell."""
    return True if flags["chat"] else False if flags["server"] else None


def _server(flags: dict[str, Any]) -> ServerSettings:
    given = tuple(Secret(key) for keys in flags["api_key"] for key in keys)
    file_keys = _keys_in(flags["api_key_file"])
    return ServerSettings(
        hosts=flags["host"],
        port=flags["port"],
        api_keys=(*given, *file_keys),
        key_file=flags["api_key_file"],
        file_keys=file_keys,
        sandbox=flags["sandbox"],
        cors_origins=flags["cors_origins"] or (),
        socket_mode=flags["socket_mode"],
        api_prefix=flags["api_prefix"] or "",
        tls=_tls(flags["ssl_cert_file"], flags["ssl_key_file"]),
        timeout=flags["timeout"],
        drain_seconds=flags["drain_seconds"],
        open_browser=not flags["nobrowser"],
        serves_page=flags["ui"],
        shows_slots=flags["slots"],
        shows_metrics=flags["metrics"],
        shows_props_changes=flags["props"],
        slot_save_path=_folder(flags["slot_save_path"]),
    )


def _worker(flags: dict[str, Any]) -> WorkerSettings | None:
    if not flags["worker"]:
        if flags["worker_insecure"]:
            raise click.UsageError("--worker-insecure needs --worker too.")
        return None
    if flags["rpc"]:
        raise click.UsageError("Either --worker or --rpc: who computes for others has no workers.")
    return WorkerSettings(beyond_loopback=flags["worker_insecure"])


def _folder(path: Path | None) -> Path | None:
    """`path`, if it can be looked into; else the system says why not."""
    if path is not None:
        os.scandir(path).close()
    return path


def _keys_in(file: Path | None) -> tuple[Secret, ...]:
    if file is None:
        return ()
    from runtime.server.renewing import KeyFileUnusable, keys_in  # most programs have none

    try:
        return tuple(map(Secret, keys_in(file)))
    except KeyFileUnusable as error:
        raise click.BadParameter(str(error), param_hint="--api-key-file") from error


def _tls(certificate: Path | None, key: Path | None) -> TlsFiles | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, missing = ("--ssl-key-file", "--ssl-cert-file") if key else ("--ssl-cert-file", "--ssl-key-file")
        raise click.UsageError(f"{given} needs {missing} too.")
    return TlsFiles(certificate, key)


def _engine(flags: dict[str, Any]) -> EngineSettings:
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


def _gpu(flags: dict[str, Any]) -> GpuSettings:
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


def _chat(flags: dict[str, Any], template: str | None) -> ChatSettings:
    reasoning = {"on": True, "off": False, "auto": None}[flags["reasoning"]]
    if flags["reasoning_budget"] == 0:
        if reasoning:
            raise click.UsageError("--reasoning-budget 0 is --reasoning off, not on.")
        reasoning = False
    given = _template(_one_of(flags, "chat_template", "chat_template_file"))
    return ChatSettings(
        template=template if given is None else given,
        template_values=_template_values(flags),
        reasoning=reasoning,
        splits_reasoning=flags["reasoning_format"] != "none",
        thought_tokens=flags["reasoning_budget"] if flags["reasoning_budget"] > 0 else None,
        thought_message=flags["reasoning_budget_message"] or "",
        media=MediaSources(flags["media_urls"], _folder(flags["media_path"])),
    )


def _template_values(flags: dict[str, Any]) -> dict[str, Any]:
    effort = flags["reasoning_effort"]
    said = {} if effort in (None, "default") else {"reasoning_effort": effort}
    return said | _object(flags["chat_template_kwargs"], "--chat-template-kwargs")


def _template(text: str | None) -> str | None:
    """Jinja, or what llama.cpp has by that name."""
    if text is None or "{" in text:
        return text
    from runtime.chat.named import NAMED

    if text not in NAMED:
        reason = f"{text!r} is neither a Jinja template nor one of {', '.join(NAMED)}"
        raise click.BadParameter(reason, param_hint="--chat-template")
    return NAMED[text]


def _object(text: str | None, flag: str) -> dict[str, Any]:
    value = {} if text is None else _json(text, flag)
    if not isinstance(value, dict):
        raise click.BadParameter("must be a JSON object", param_hint=flag)
    return value


def _sampling(flags: dict[str, Any]) -> Sampling:
    given = {
        FIELD_NAMES.get(name, name): flags[name]
        for option in SAMPLING
        if (name := option.name) is not None and name not in _TRANSLATED
    }
    if flags["samplers"] is not None:
        given["samplers"] = _samplers(flags["samplers"])
    if flags["dry_sequence_breaker"]:
        given["dry_sequence_breakers"] = tuple(text for text in flags["dry_sequence_breaker"] if text != "none")
    return Sampling(
        **given | {"grammar": _grammar(flags)},
        seed=None if flags["seed"] == -1 else flags["seed"] & 0xFFFFFFFF,
        logit_bias=tuple(_bias(text) for text in flags["logit_bias"]),
    )


def _samplers(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(";") if name.strip())
    for name in names:
        if name not in SAMPLERS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(SAMPLERS)}", param_hint="--samplers")
    return names


def _bias(text: str) -> tuple[int, float]:
    match = re.fullmatch(r"(\d{1,9})([+-](?:\d{1,9}(?:\.\d{0,9})?|inf))", text)
    if match is None:
        raise click.BadParameter(
            f"{text!r}: must be TOKEN+BIAS or TOKEN-BIAS, as in 15043+1", param_hint="--logit-bias"
        )
    return int(match[1]), float(match[2])


def _grammar(flags: dict[str, Any]) -> str:
    """GBNF, written so or as a JSON schema. Raises `SchemaUnsupported`."""
    schema = _one_of(flags, "json_schema", "json_schema_file")
    grammar = _one_of(flags, "grammar", "grammar_file")
    if schema is None:
        return "" if grammar is None else _inline(grammar, "::=", "--grammar", "a grammar")
    if grammar is not None:
        raise click.UsageError("Either a grammar or a JSON schema, not both.")
    from runtime.grammar.json_schema import grammar_of

    text = schema if schema.strip() in ("true", "false") else _inline(schema, "{", "--json-schema", "a schema")
    return grammar_of(_json(text, "--json-schema"))


def _inline(text: str, mark: str, flag: str, what: str) -> str:
    """`text`, or where it lacks what all such texts have, the file that it names."""
    if mark in text or not text:
        return text
    try:
        return _read(Path(text))
    except OSError as error:
        reason = f"{text!r} is neither {what} nor a file that can be read: {error.strerror}"
        raise click.BadParameter(reason, param_hint=flag) from error


def _one_of(flags: dict[str, Any], text: str, file: str) -> str | None:
    """What one of two flags says, the second in a file."""
    if flags[file] is None:
        given: str | None = flags[text]
        return given
    if flags[text] is not None:
        raise click.UsageError(f"Either --{text.replace('_', '-')} or --{file.replace('_', '-')}, not both.")
    return _read(flags[file])


def _json(text: str, flag: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint=flag) from error


def _read(file: Path, limit: int = 16 * 1024 * 1024) -> str:
    """UTF-8 text of `limit` bytes at most, so that a wrong file is no surprise."""
    with file.open("rb") as opened:
        data = opened.read(limit + 1)
    if len(data) > limit:
        raise click.UsageError(f"{file} is larger than {limit:,} bytes.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is not UTF-8 text.") from error
