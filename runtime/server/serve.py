"""Serving from start to signal: listen, load, say where, wait, stop.

SIGTERM and Ctrl-C: no new work; what is running may finish for a while (`--drain-seconds`), is then ended; exit 0. So
it is, too, where something does not let itself be ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from runtime.confining.confinement import Plan
from runtime.console.aside import Aside, broken
from runtime.console.loading import loading_shown
from runtime.console.meter import large, size
from runtime.console.remarks import remarks
from runtime.engine.facts import ModelFacts
from runtime.engine.placement import WorkerAddress
from runtime.errors import LoafError, escaped
from runtime.machine.resources import processors
from runtime.machine.supervised import is_supervised, notify, notify_reloading, reap_orphans
from runtime.models.served import ServedModel
from runtime.server.app import build_app
from runtime.server.confined import confine, planned
from runtime.server.keys import READINESS, RENEWABLE, SLEEPERS
from runtime.server.listening import Addresses, listening
from runtime.server.renewing import Renewable
from runtime.settings import Settings

CLOSE_SECONDS = 1.0
END_SECONDS = 2.0
"""When running requests have had their time: how long clients that do not read are waited for, and how long then
whatever does not end by itself, a thread that computes or a driver."""

OPENING_SECONDS = 3.0
"""That the browser's starter is waited for: some do not return while the browser runs."""


Beside = Callable[[Sequence[ServedModel]], Awaitable[None] | None]
"""What goes on in the same process while the models, which are loaded, are served; None: nothing, for these."""


def serve(
    served: Sequence[ServedModel], settings: Settings, stopped: threading.Event, beside: Beside | None = None
) -> bool:
    """Serve until a signal comes, or what goes on `beside` ends; not at all if `stopped` is set. Raises `LoafError`.

    What goes on beside may take Ctrl-C for itself. Returns whether the program is to begin anew: what it had lost is
    there again.
    """
    return asyncio.run(_serve(served, settings, stopped, beside))


async def _serve(
    served: Sequence[ServedModel], settings: Settings, stopped: threading.Event, beside: Beside | None
) -> bool:
    stop = _stop_on_signals(settings.server.drain_seconds)
    begins_anew = False
    if stopped.is_set():
        return begins_anew
    runner = web.AppRunner(build_app(served, settings), handler_cancellation=True, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    try:
        async with listening(runner, settings.server) as addresses:
            if await _load_unless(stop, served):
                other = beside(served) if beside is not None else None
                if other is not None:
                    runner.app[SLEEPERS].stay_awake()
                runner.app[SLEEPERS].begin()
                confinement = planned(served, settings, chats=other is not None)
                opening = _open_page(addresses, settings)
                if opening is not None:  # a program: none can be started later
                    await _until_opened(opening, stop)
                confinement = await confine(confinement, served, settings, addresses.paths)
                _announce(served, addresses, settings, confinement, stops="Ctrl-C" if other is None else "Ctrl-D")
                _serve_a_supervisor(runner)
                begins_anew = await _until_stopped(stop, served, settings.gpu.workers, other)
                await _drain(runner, settings.server.drain_seconds)
    finally:
        for one in served:
            one.stop()
        await runner.cleanup()
    return begins_anew


def _stop_on_signals(drain_seconds: float) -> asyncio.Event:
    """Set at the first signal; a second one ends the program as it would any other."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        stop.set()
        _end_in(drain_seconds + CLOSE_SECONDS + END_SECONDS)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return stop


def _end_in(seconds: float) -> None:
    """End the process then, unless it has ended: threads are waited for else, and nothing interrupts them."""

    def end() -> None:
        sys.stderr.flush()
        os._exit(0)

    deadline = threading.Timer(seconds, end)
    deadline.daemon = True
    deadline.start()


async def _load_unless(stop: asyncio.Event, served: Sequence[ServedModel]) -> bool:
    """Whether all are loaded; False when a signal came first. Raises what made the first of them fail."""
    loading = asyncio.gather(*(asyncio.wrap_future(one.engine.ready) for one in served))
    stopping = asyncio.ensure_future(stop.wait())
    either: list[asyncio.Future[Any]] = [loading, stopping]
    async with loading_shown(served, Aside()):
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if loading.done():
        stopping.cancel()
        loading.result()
        return True
    for one in served:
        one.stop()
    with suppress(LoafError):  # what it says now does not matter any more
        await loading
    return False


def _open_page(addresses: Addresses, settings: Settings) -> threading.Thread | None:
    """Show the page where there is a screen to show it on; None where nothing is to be waited for."""
    server = settings.server
    shows_page = server.open_browser and server.serves_page and addresses.urls
    if not shows_page or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    from runtime.machine.desktop import open_page

    return open_page(addresses.urls[0])


async def _until_opened(opening: threading.Thread, stop: asyncio.Event) -> None:
    """Until the browser has been started, or it is clear that its starter runs as long as it does."""
    started = asyncio.ensure_future(asyncio.to_thread(opening.join, OPENING_SECONDS))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([started, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


def _serve_a_supervisor(runner: web.AppRunner) -> None:
    """Say that all is ready; read keys and certificates anew at SIGHUP; be the parent of whoever has none."""
    loop = asyncio.get_running_loop()
    renewable = runner.app[RENEWABLE]
    if renewable.has_files or is_supervised():
        loop.add_signal_handler(signal.SIGHUP, _read_anew, renewable)
    reap_orphans(loop.add_signal_handler)
    notify("READY=1")


def _read_anew(renewable: Renewable) -> None:
    notify_reloading()
    try:
        renewable.read_anew()
    except (LoafError, OSError) as error:
        print(f"error: {error}: what was read before stays in force", file=sys.stderr, flush=True)
    else:
        print("Keys and certificates have been read anew", file=sys.stderr, flush=True)
    notify("READY=1")


def _announce(
    served: Sequence[ServedModel], addresses: Addresses, settings: Settings, confinement: Plan, stops: str
) -> None:
    """A few lines for people."""
    lines = _description(served[0], settings, by_name=len(served) > 1)
    lines += [line for one in served[1:] for line in _description(one, settings.of_another_model(), by_name=True)]
    if addresses.exposed and not settings.server.api_keys:
        lines.append(
            f"Warning: whoever can reach {', '.join(addresses.exposed)} may use the model (--api-key asks for a key)"
        )
    if settings.server.sandbox:
        lines += confinement.lines()
    lines.append(f"Serving on {', '.join((*addresses.urls, *addresses.paths))} ({stops} stops)")
    print("\n".join(broken(escaped(line), sys.stderr) for line in lines), file=sys.stderr)
    sys.stderr.flush()


def _description(served: ServedModel, settings: Settings, *, by_name: bool) -> list[str]:
    """What is served and with what, and each thing that was decided for a reason. `by_name`: there are others."""
    backend = served.engine.described()
    facts = backend.model.facts
    generator = backend.generator
    if generator is None:
        makes = "scores" if facts.pooling == "rank" else "embeddings"
        return [f"{served.name}: {_kind(facts)}, {makes} only", *backend.placement.lines]
    used = generator.settings
    lines = [
        f"{served.name}: {_kind(facts)}, context {generator.n_ctx:,}, "
        f"{used.n_slots} requests at once, {used.n_threads} threads",
        *backend.placement.lines,
    ]
    if used.n_threads > (there := processors().usable):
        lines.append(f"{used.n_threads} threads share {there} processors, and wait for each other (--threads {there})")
    if settings.engine.n_ctx is None and generator.n_ctx < facts.n_ctx_train:
        lines.append(
            f"The model could have a context of {facts.n_ctx_train:,}; memory allows less (--ctx-size sets it)"
        )
    lines += [
        f"LoRA adapter {i}: {adapter.name}, scale {adapter.scale:g}" for i, adapter in enumerate(backend.adapters)
    ]
    lines += [backend.warmth.line, *remarks(served, settings, by_name=by_name)]
    if (used.max_draft or settings.engine.draft is not None) and facts.keeps_state:
        lines.append("Guessing is off: this model's memory cannot take back a wrong guess")
    if (drafter := backend.drafter) is not None:
        lines.append(f"Guessing with {_kind(drafter.model.facts)}")
    return list(filter(None, lines))


def _kind(facts: ModelFacts) -> str:
    """As in `llama, 1.2 billion parameters, Q4_0, 700.0 MB`."""
    return f"{facts.architecture}, {large(facts.parameter_count)} parameters, {facts.quantization}, {size(facts.size)}"


async def _until_stopped(
    stop: asyncio.Event, served: Sequence[ServedModel], workers: Sequence[WorkerAddress], other: Awaitable[None] | None
) -> bool:
    """Until a signal comes, or `other` ends, or an engine does without being told: that is a bug, and raised.

    One that is given up, because one of `workers` is lost, does not end the server, which goes on to answer why. True
    when it need not any more: all of them answer again.
    """
    ended = [asyncio.wrap_future(one.engine.finished) for one in served]
    lost = [asyncio.wrap_future(one.engine.lost) for one in served]
    stopping = asyncio.ensure_future(stop.wait())
    beside = [] if other is None else [asyncio.ensure_future(other)]
    either: list[asyncio.Future[Any]] = [stopping, *ended, *beside]
    await asyncio.wait([*either, *lost], return_when=asyncio.FIRST_COMPLETED)
    begins_anew = False
    if error := next((one.result() for one in lost if one.done()), None):
        print(f"error: {error}", file=sys.stderr, flush=True)
        begins_anew = await _recovers(workers, either)
    stopping.cancel()
    for going_on in beside:
        going_on.cancel()
        with suppress(asyncio.CancelledError):
            await going_on
    for one in ended:
        if one.done():
            one.result()
    return begins_anew


async def _recovers(workers: Sequence[WorkerAddress], either: list[asyncio.Future[Any]]) -> bool:
    """Whether all of `workers` answer again before any of `either` comes."""
    from runtime.server.recovering import until_all_answer

    recovering = asyncio.ensure_future(until_all_answer(workers))
    await asyncio.wait([recovering, *either], return_when=asyncio.FIRST_COMPLETED)
    if not recovering.done():
        recovering.cancel()
        return False
    recovering.result()
    print("All workers answer again: beginning anew", file=sys.stderr, flush=True)
    return True


async def _drain(runner: web.AppRunner, seconds: float) -> None:
    """Take no new work, and let what runs finish, for so long at most; until then whoever asks is told. Then stop
    listening.
    """
    readiness = runner.app[READINESS]
    readiness.drains = True
    notify("STOPPING=1")
    deadline = asyncio.get_running_loop().time() + seconds
    while readiness.answering and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
    for site in list(runner.sites):
        await site.stop()
