"""Between an agent and the server: passes everything on as it is, and keeps what was asked and how it was answered.

Refuses to know what any of it means (`shapes.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import ClientSession, ClientTimeout, web
from exchanges import Exchange

_HOPS = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "content-length"})
"""Headers of one connection (RFC 9110, 7.6.1), and those that the client writes itself."""


@asynccontextmanager
async def recording(target: str) -> AsyncIterator[tuple[str, list[Exchange]]]:
    """(its own URL, what it has seen so far), in front of the server at the URL `target`."""
    seen: list[Exchange] = []
    async with ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False) as session:

        async def passing_on(request: web.Request) -> web.StreamResponse:
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOPS}
            exchange = Exchange(request.method, request.path_qs, headers, await request.read())
            seen.append(exchange)
            try:
                return await answered(request, exchange, headers)
            except (asyncio.CancelledError, ConnectionError):
                exchange.was_left = True
                raise

        async def answered(request: web.Request, exchange: Exchange, headers: dict[str, str]) -> web.StreamResponse:
            async with session.request(
                request.method, target + request.path_qs, headers=headers, data=exchange.body or None,
                allow_redirects=False,
            ) as answer:  # fmt: skip
                exchange.status = answer.status
                response = web.StreamResponse(status=answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in _HOPS:
                        response.headers.add(name, value)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    exchange.said += chunk
                    await response.write(chunk)
                exchange.complete = True
                with suppress(ConnectionError):  # some leave as soon as they have all
                    await response.write_eof()
            return response

        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", passing_on)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
        finally:
            await runner.cleanup()
