"""The pages at `/` and `/docs`, each one file from `runtime/web/`."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

import runtime.web

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def index(_request: web.Request) -> web.Response:
    """A conversation with the model."""
    return _page("index.html")


async def docs(_request: web.Request) -> web.Response:
    """What can be asked of the server: `/openapi.json` for people."""
    return _page("docs.html")


def _page(name: str) -> web.Response:
    html = (Path(runtime.web.__path__[0]) / name).read_text(encoding="utf-8")
    return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": _POLICY})
