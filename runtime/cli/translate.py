"""Flags into settings: what they mean together.

Knows which of them exclude each other. How it computes is `computing.py`'s, what is sampled with `sampling.py`'s, and
the files that flags name `reading.py`'s to know. Raises click's errors for what is wrong with a flag, `OSError` for
files that cannot be read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from runtime.bundle import Manifest
from runtime.cli.computing import engine_settings, gpu_settings
from runtime.cli.reading import folder, json_object, one_of
from runtime.cli.sampling import sampling_settings
from runtime.settings import (
    BatchSettings,
    ChatSettings,
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


def settings_from(manifest: Manifest | None, flags: dict[str, Any], file_name: str = "") -> Settings:
    """`flags` by click's names of them; the bundle's `manifest` has defaults for some."""
    system = manifest.system if manifest is not None else None
    prompt, batch = _prompt(flags), _batch(flags)
    if flags["chat"] and not (prompt is None and batch is None):
        raise click.UsageError("Either --chat or something to answer, not both.")
    return Settings(
        file_name=file_name,
        model=flags["model"],
        remote=_remote(flags),
        aliases=flags["alias"] or (),
        tags=flags["tags"] or (),
        prompt=prompt,
        images=_shown(flags, "image", "picture"),
        sounds=_shown(flags, "audio", "sound"),
        serves=flags["server"] or not flags["chat"],
        chats=_chats(flags),
        raw=flags["raw"],
        batch=batch,
        system=flags["system"] if flags["system"] is not None else system,
        max_tokens=None if flags["n_predict"] < 0 else flags["n_predict"],
        server=_server(flags),
        worker=_worker(flags),
        engine=engine_settings(flags),
        gpu=gpu_settings(flags),
        chat=_chat(flags, None if manifest is None else _baked_template(manifest, flags)),
        sampling=sampling_settings(flags),
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
    text = one_of(flags, "prompt", "file")
    return text if flags["file"] is None or text is None else text.removesuffix("\n")


def _shown(flags: dict[str, Any], flag: str, what: str) -> tuple[Path, ...]:
    paths: tuple[Path, ...] = flags[flag] or ()
    if paths and flags["prompt"] is None and flags["file"] is None:
        raise click.UsageError(f"--{flag} goes with a prompt (-p, -f).")
    if paths and flags["raw"]:
        raise click.UsageError(f"Either --{flag} or --raw, not both: bare text has no place for a {what}.")
    return paths


def _batch(flags: dict[str, Any]) -> BatchSettings | None:
    given, output, servers = flags["batch"], flags["output"], flags["batch_servers"] or ()
    if given is None and output is None and not servers:
        return None
    if given is None or output is None:
        raise click.UsageError("--batch FILE and --output FILE belong together.")
    if flags["prompt"] is not None or flags["file"] is not None:
        raise click.UsageError("Either a prompt or --batch, not both.")
    if given.exists() and output.exists() and given.samefile(output):
        raise click.UsageError("--batch and --output are the same file.")
    return BatchSettings(given, output, servers, flags["parallel"] or None)


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
        sleep_seconds=_sleep_seconds(flags),
        most_models=_most_models(flags),
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
        slot_save_path=folder(flags["slot_save_path"]),
    )


def _sleep_seconds(flags: dict[str, Any]) -> float:
    seconds: int = flags["sleep_idle_seconds"]
    if seconds < 0:
        return math.inf
    if flags["rpc"]:
        raise click.UsageError("Either --sleep-idle-seconds or --rpc: what workers have of a model stays there.")
    return float(seconds)


def _most_models(flags: dict[str, Any]) -> int | None:
    count: int = flags["models_max"]
    if not count:
        return None
    if not flags["server"]:
        raise click.UsageError("--models-max needs --server: a chat in the terminal has its model loaded.")
    if flags["rpc"]:
        raise click.UsageError("Either --models-max or --rpc: what workers have of a model stays there.")
    return count


def _worker(flags: dict[str, Any]) -> WorkerSettings | None:
    if not flags["worker"]:
        if flags["worker_insecure"]:
            raise click.UsageError("--worker-insecure needs --worker too.")
        return None
    if flags["rpc"]:
        raise click.UsageError("Either --worker or --rpc: who computes for others has no workers.")
    return WorkerSettings(beyond_loopback=flags["worker_insecure"])


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


def _chat(flags: dict[str, Any], template: str | None) -> ChatSettings:
    reasoning = {"on": True, "off": False, "auto": None}[flags["reasoning"]]
    if flags["reasoning_budget"] == 0:
        if reasoning:
            raise click.UsageError("--reasoning-budget 0 is --reasoning off, not on.")
        reasoning = False
    given = _template(one_of(flags, "chat_template", "chat_template_file"))
    return ChatSettings(
        template=template if given is None else given,
        template_values=_template_values(flags),
        reasoning=reasoning,
        splits_reasoning=flags["reasoning_format"] != "none",
        thought_tokens=flags["reasoning_budget"] if flags["reasoning_budget"] > 0 else None,
        thought_message=flags["reasoning_budget_message"] or "",
        media=MediaSources(flags["media_urls"], folder(flags["media_path"])),
    )


def _baked_template(manifest: Manifest, flags: dict[str, Any]) -> str | None:
    """The bundle's, which is its first model's: another that is named has its own."""
    first = next((model.name for model in manifest.models if model.role == "model"), None)
    is_another = flags["model"] not in (None, Path(first or ""))
    return None if is_another or _remote(flags) is not None else manifest.chat_template


def _template_values(flags: dict[str, Any]) -> dict[str, Any]:
    effort = flags["reasoning_effort"]
    said = {} if effort in (None, "default") else {"reasoning_effort": effort}
    return said | json_object(flags["chat_template_kwargs"], "--chat-template-kwargs")


def _template(text: str | None) -> str | None:
    """Jinja, or what llama.cpp has by that name."""
    if text is None or "{" in text:
        return text
    from runtime.chat.named import NAMED

    if text not in NAMED:
        reason = f"{text!r} is neither a Jinja template nor one of {', '.join(NAMED)}"
        raise click.BadParameter(reason, param_hint="--chat-template")
    return NAMED[text]
