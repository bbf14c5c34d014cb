"""The pages: `/`, of the files that bundler/freeze/page.py has built, and `/docs`, a file of its own.

Knows how files are served. Where no page was built there is a plain one.
"""

from __future__ import annotations

import base64
import gzip
import re
from functools import cache
from pathlib import Path

import msgspec
from aiohttp import hdrs, web

import runtime.web

_WEB = Path(runtime.web.__path__[0])
_BUILT = _WEB / "page"
_ASSETS = "/assets/"

_POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self'{styles}; img-src 'self' data: blob:; "
    "media-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Everything from here, and inline only what the file was written with, by its hash (CSP 3, 2.3.1). No text can be made
markup or code: what a model writes least of all."""

_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_ALWAYS_ASKED = "no-cache"
_NEVER_ASKED = "public, max-age=31536000, immutable"
"""The names of assets change with their content."""


class _File(msgspec.Struct, frozen=True):
    """A file as it is sent. `content` is gzip's."""

    content: bytes
    content_type: str
    tag: str
    caching: str
    policy: str


@cache
def assets() -> frozenset[str]:
    """The paths of the built page's other files; none where there is only the plain one."""
    folder = _BUILT / "assets"
    files = folder.iterdir() if folder.is_dir() else ()
    return frozenset(f"{_ASSETS}{file.name.removesuffix('.gz')}" for file in files)


async def index(request: web.Request) -> web.Response:
    """A conversation with the model."""
    path = _BUILT / "index.html.gz"
    return _answer(request, _built(path, _ALWAYS_ASKED) if path.is_file() else _single("plain.html"))


async def to_index(request: web.Request) -> web.Response:
    """The page's address ends with a slash: what it is made of is looked for beside it."""
    return web.Response(status=308, headers={hdrs.LOCATION: f"{request.path}/"})


async def asset(request: web.Request) -> web.Response:
    """What the page is made of."""
    name = request.match_info["name"]
    if f"{_ASSETS}{name}" not in assets():
        raise web.HTTPNotFound
    return _answer(request, _built(_BUILT / "assets" / f"{name}.gz", _NEVER_ASKED))


async def docs(request: web.Request) -> web.Response:
    """What can be asked of the server: `/openapi.json` for people."""
    return _answer(request, _single("docs.html"))


@cache
def _built(path: Path, caching: str) -> _File:
    return _file(path.read_bytes(), path.with_suffix("").suffix, caching)


@cache
def _single(name: str) -> _File:
    return _file(gzip.compress((_WEB / name).read_bytes()), ".html", _ALWAYS_ASKED)


def _file(content: bytes, suffix: str, caching: str) -> _File:
    import hashlib

    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return _File(content, _TYPES[suffix], tag, caching, _policy(gzip.decompress(content) if suffix == ".html" else b""))


def _policy(html: bytes) -> str:
    """What a browser may do with `html`."""
    import hashlib

    hashes = {b"script": "", b"style": ""}
    for element, text in _INLINE.findall(html):
        hashes[element] += f" 'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
    return _POLICY.format(scripts=hashes[b"script"], styles=hashes[b"style"])


def _answer(request: web.Request, file: _File) -> web.Response:
    headers = {
        hdrs.ETAG: file.tag,
        hdrs.CACHE_CONTROL: file.caching,
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
        "Content-Security-Policy": file.policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    if file.tag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=headers)
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        body = file.content
    else:
        body = gzip.decompress(file.content)
    return web.Response(body=body, content_type=file.content_type, charset="utf-8", headers=headers)
