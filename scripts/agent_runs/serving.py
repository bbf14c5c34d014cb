"""What agents ask: loaf's server over the scripted model, or a bundle of the demo model. Gives its URL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agents import MODEL, N_CTX
from aiohttp import web
from scripted import scripted_context, template

from runtime.engine.engine import Engine
from runtime.engine.weights import Weights
from runtime.models.served import Loading, ServedModel
from runtime.server.app import build_app
from runtime.settings import Settings
from support.bundles import Server

_BUNDLE_FLAGS = ("-c", "131072", "-np", "2")
"""The demo model has learnt far less: it babbles, and what counts is that everything is answered."""


@asynccontextmanager
async def scripted_server() -> AsyncIterator[str]:
    """The application of this checkout, on a free port."""
    context = scripted_context(template(), N_CTX)
    engine = Engine(lambda: context)  # type: ignore[arg-type,return-value]
    engine.start()
    served = ServedModel(MODEL, Weights(Path("scripted.gguf")), 1000, "", engine, Loading())
    runner = web.AppRunner(build_app([served], Settings()), handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await asyncio.wrap_future(engine.ready)
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        engine.stop()
        await runner.cleanup()
        engine.join(10)


@asynccontextmanager
async def bundle_server(bundle: Path | None, folder: Path) -> AsyncIterator[str]:
    """`bundle`, or one that is built in `folder`, serving."""
    if bundle is None:
        bundle = folder / "demo.loaf"
        command = [str(Path(sys.executable).with_name("loaf")), "build", "demo", "-o", str(bundle)]
        await asyncio.to_thread(subprocess.run, command, check=True)
    server = Server(bundle, *_BUNDLE_FLAGS, cache=folder / "cache")
    await asyncio.to_thread(server.__enter__)
    try:
        yield server.url
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)
