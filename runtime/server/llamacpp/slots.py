"""llama-server's look into the engine: `/slots`, and what can be done with them.

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
from runtime.engine.stats import Occupant, SlotState
from runtime.server.generation_settings import default_settings, running_settings
from runtime.server.json import decode, json_response
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.refusals import BadRequest, NoSlotFree, NoStateFolder, SwitchedOff

_LONGEST_NUMBER = 6
_LONGEST_NAME = 200
"""Bytes of a file name: what file systems take, less what a half-written file is called."""


class StateRequest(msgspec.Struct):
    """The body of `save` and `restore`."""

    filename: str


async def slots(request: web.Request) -> web.Response:
    """Every KV sequence, and what runs there. With `?fail_on_no_slot=1` an error where each is busy."""
    settings = request.app[SETTINGS]
    if not settings.server.shows_slots:
        raise SwitchedOff("/slots", "--slots")
    engine = _engine_of(request)
    generator, now = engine.described().generator, engine.stats().slots
    assert generator is not None, "`find_generator` has looked"
    if request.query.get("fail_on_no_slot") and all(slot.occupant for slot in now):
        raise NoSlotFree
    idle = default_settings(settings.sampling, settings.max_tokens)
    guesses = generator.settings.max_draft > 0
    return json_response([_slot(slot, generator.n_ctx, idle, guesses=guesses) for slot in now])


async def slot_action(request: web.Request) -> web.Response:
    """`?action=save`, `restore` or `erase`, for one of them."""
    engine = _engine_of(request)
    number = request.match_info["slot"]
    if not (number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER):
        raise BadRequest("the slot must be a number")
    slot = int(number)
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
        raise BadRequest(
            f"filename: {path.name}: {error.strerror}", "filename", "It lies in the folder of --slot-save-path."
        ) from error


def _engine_of(request: web.Request) -> Engine:
    """The engine of the model that `?model=` names, which must generate. Raises as `find_generator`."""
    return request.app[MODELS].find_generator(request.query.get("model")).engine


def _slot(slot: SlotState, n_ctx: int, idle: dict[str, Any], *, guesses: bool) -> dict[str, Any]:
    """One slot in llama-server's form; `idle` are the settings that are shown where no request runs."""
    return {
        "id": slot.slot,
        "n_ctx": n_ctx,
        "speculative": guesses,
        "is_processing": slot.occupant is not None,
        "n_prompt_tokens": slot.held_tokens,
        **(_IDLE | {"params": idle} if slot.occupant is None else _occupied(slot.occupant)),
    }


_IDLE: dict[str, Any] = {
    "id_task": -1,
    "n_prompt_tokens_processed": 0,
    "n_prompt_tokens_cache": 0,
    "next_token": [{"has_next_token": False, "has_new_line": False, "n_remain": -1, "n_decoded": 0}],
}


def _occupied(occupant: Occupant) -> dict[str, Any]:
    wanted, progress = occupant.request, occupant.progress
    decoded = progress.usage.generated_tokens
    token = {
        "has_next_token": True,
        "has_new_line": occupant.has_ended_line,
        "n_remain": -1 if wanted.max_tokens is None else wanted.max_tokens - decoded,
        "n_decoded": decoded,
    }
    return {
        "id_task": occupant.number,
        "n_prompt_tokens_processed": max(progress.processed - progress.usage.cached_tokens, 0),
        "n_prompt_tokens_cache": progress.usage.cached_tokens,
        "params": running_settings(wanted),
        "next_token": [token],
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
