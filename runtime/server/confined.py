"""What this server gives up once it is ready, and what it goes on to need for what its flags say.

Refuses to know how that is done (`confining/`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from runtime.confining.confinement import Needs, Plan, confine_calls, confine_thread, plan
from runtime.confining.errors import CannotConfine
from runtime.confining.places import Named, places
from runtime.machine.supervised import is_supervised
from runtime.models.served import ServedModel
from runtime.server.beside import use_new_threads
from runtime.settings import Settings


def planned(served: Sequence[ServedModel], settings: Settings, *, chats: bool) -> Plan:
    """As much as can be had, and none where nobody wants it. Raises `CannotConfine` where all of it is asked for."""
    needs = Needs(
        chats=chats,
        has_workers=bool(settings.gpu.workers),
        offloads=any(one.engine.described().placement.offload is not None for one in served),
        fetches=settings.chat.media.urls,
        is_supervised=is_supervised(),
    )
    return plan(needs, wanted=settings.server.sandbox)


async def confine(chosen: Plan, served: Sequence[ServedModel], settings: Settings, sockets: Sequence[str]) -> Plan:
    """Give up what is `chosen`, in this thread and the one that computes, or what the kernel takes of it: that is
    returned. Raises `CannotConfine` where all of it is asked for.
    """
    if not (chosen.files or chosen.calls):
        return chosen
    needed = places(_named(served, settings, sockets))
    reasons = list(chosen.left_out)
    files, calls = chosen.files, chosen.calls
    try:
        await asyncio.wrap_future(served[0].engine.in_worker(partial(confine_thread, chosen, needed)))
        confine_thread(chosen, needed)
    except CannotConfine as error:
        files = False
        reasons.append(error.reason)
    try:
        confine_calls(chosen)
    except CannotConfine as error:
        calls = False
        reasons.append(error.reason)
    if settings.server.sandbox and reasons:
        raise CannotConfine(reasons[0])
    use_new_threads()
    return msgspec.structs.replace(chosen, files=files, calls=calls, left_out=tuple(reasons))


def _named(served: Sequence[ServedModel], settings: Settings, sockets: Sequence[str]) -> Named:
    server = settings.server
    read_anew = [server.tls.certificate, server.tls.key] if server.tls is not None else []
    read_anew += [server.key_file] if server.key_file is not None else []
    kept = [server.slot_save_path] if server.slot_save_path is not None else []
    kept += [settings.engine.disk.folder] if settings.engine.disk is not None else []
    return Named(
        weights=tuple(file for one in served for file in one.files),
        read_anew=tuple(read_anew),
        pictures=settings.chat.media.folder,
        kept=tuple(kept),
        sockets=tuple(map(Path, sockets)),
        fetches=settings.chat.media.urls,
    )
