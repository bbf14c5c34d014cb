"""llama-server's look into the engine: `/slots` and what can be done with them, and `/lora-adapters`.

Saved states live in the one folder that `--slot-save-path` names, under plain file names; without it there are none.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from runtime.engine.engine import Engine
from runtime.engine.stats import SlotState
from runtime.server.errors import BadRequest, NoStateFolder
from runtime.server.generating import LoraField, adapter_scales
from runtime.server.json import decode, json_response
from runtime.server.keys import MODELS, SETTINGS

_LONGEST_NAME = 200
"""Bytes of a file name: what file systems take, less what a half-written file is called."""


class StateRequest(msgspec.Struct):
    """The body of `save` and `restore`."""

    filename: str


async def slots(request: web.Request) -> web.Response:
    """Every KV sequence, and what runs there."""
    engine = request.app[MODELS].find().engine
    n_ctx = engine.generator().n_ctx
    return json_response([_slot(slot, n_ctx) for slot in engine.stats().slots])


async def slot_action(request: web.Request) -> web.Response:
    """`?action=save`, `restore` or `erase`, for one of them."""
    engine = request.app[MODELS].find().engine
    engine.generator()
    number = request.match_info["slot"]
    slot = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else -1
    action = request.query.get("action", "")
    if action == "erase":
        erased = await asyncio.wrap_future(engine.erase_slot(slot))
        return json_response({"id_slot": slot, "n_erased": erased})
    if action not in ("save", "restore"):
        raise BadRequest("action: must be save, restore or erase", "action")
    path = _state_path(request, (await decode(request, StateRequest)).filename)
    try:
        return json_response(await _move_state(engine, action, slot, path))
    except OSError as error:
        raise BadRequest(f"filename: {path.name}: {error.strerror}", "filename") from error


async def adapters(request: web.Request) -> web.Response:
    """The LoRA adapters, and how strongly each is applied."""
    engine = request.app[MODELS].find().engine
    names = [adapter.name for adapter in engine.backend().adapters]
    pairs = zip(names, engine.scales, strict=True)
    return json_response([{"id": i, "path": name, "scale": scale} for i, (name, scale) in enumerate(pairs)])


async def set_adapters(request: web.Request) -> web.Response:
    """Change how strongly adapters are applied to requests from now on; those that are not named are off."""
    engine = request.app[MODELS].find().engine
    engine.backend()
    engine.set_scales(adapter_scales(await decode(request, list[LoraField]), len(engine.scales), "scale"))
    return json_response({"success": True})


def _slot(slot: SlotState, n_ctx: int) -> dict[str, Any]:
    return {
        "id": slot.slot,
        "n_ctx": n_ctx,
        "is_processing": slot.is_running,
        "n_prompt_tokens": slot.prompt_tokens,
        "n_prompt_tokens_cache": slot.cached_tokens,
        "next_token": [{"n_decoded": slot.generated_tokens}],
    }


def _state_path(request: web.Request, name: str) -> Path:
    """A file in the folder for states, and nowhere else. Raises `BadRequest`, `NoStateFolder`."""
    folder = request.app[SETTINGS].server.slot_save_path
    if folder is None:
        raise NoStateFolder
    if not name or name[0] == "." or not name.isprintable() or set(name) & set('/\\:*?"<>|'):
        raise BadRequest("filename: must be a plain file name", "filename")
    if len(name.encode()) > _LONGEST_NAME:
        raise BadRequest(f"filename: must be at most {_LONGEST_NAME} bytes long", "filename")
    return folder / name


async def _move_state(engine: Engine, action: str, slot: int, path: Path) -> dict[str, Any]:
    began = time.monotonic()
    is_saving = action == "save"
    state = await asyncio.wrap_future((engine.save_slot if is_saving else engine.restore_slot)(slot, path))
    milliseconds = (time.monotonic() - began) * 1000
    return {
        "id_slot": slot,
        "filename": path.name,
        "n_saved" if is_saving else "n_restored": state.tokens,
        "n_written" if is_saving else "n_read": state.size,
        "timings": {f"{action}_ms": milliseconds},
    }
