"""Who may call: by which name, from which web page, with which key.

A browser carries what any web page asks for to any address, this machine's included. Two headers that pages cannot
forge tell its requests apart. `Origin` names the page. `Host` is the name that was resolved: a page whose own name is
made to resolve to 127.0.0.1 (DNS rebinding) is its own origin, but has no loopback name.

Knows these headers and what the settings allow. Refuses to know what a refusal looks like (`errors.py`).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from runtime.engine.turns import Asker, Origin
from runtime.server.keys import SETTINGS
from runtime.server.refusals import ForeignHost, ForeignOrigin, InvalidKey
from runtime.server.renewing import Keyring
from runtime.settings import ServerSettings

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

PrepareHook = Callable[[web.Request, web.StreamResponse], Awaitable[None]]

_METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
_GATEWAYS = frozenset({"host.docker.internal", "host.containers.internal"})
"""What containers call the machine that they run on (Docker's and Podman's names). Nobody can have a name below
`internal`, which is for private use; but who answers this machine's questions for names could say that they do. So
programs may ask by them, and by the machine's own names, and pages of such an origin may not."""

_PREFLIGHT_SECONDS = "7200"
"""How long a browser may remember a preflight's answer: as long as any does (Chromium)."""


def guard(server: ServerSettings, public: Collection[str], keyring: Keyring) -> Middleware:
    """A middleware that lets through who may call. The paths in `public` need no key.

    It raises `ForeignHost`, `ForeignOrigin` and `InvalidKey`, before anything of the body is read.
    """
    origins = Origins(server.cors_origins)
    checks_host = not origins.allow_all and all(is_path(host) or is_loopback(host) for host in server.hosts)
    names_of_this_machine = _GATEWAYS | own_names()

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = _host(request)
        is_certain = not checks_host or is_loopback(host) or origins.allow_host(host) or _came_by_path(request)
        if not (is_certain or host in names_of_this_machine):
            raise ForeignHost(host)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and not (origins.allow(origin) or (is_certain and _is_own(origin, request))):
            raise ForeignOrigin(origin)
        if origin is not None and _is_preflight(request):
            return _allow_preflight(request)
        if keyring.asks and request.path not in public and not any(map(keyring.knows, _keys(request))):
            raise InvalidKey
        return await handler(request)

    return admit


def asker_of(request: web.Request) -> Asker:
    """Who is to have a share of the server: whoever has this key, or else this connection. Comparable, and no more."""
    keys = _keys(request) if request.app[SETTINGS].server.api_keys else ()
    return keys[0] if keys else id(request.protocol)


def origin_of(request: web.Request) -> Origin:
    """From where is asked: by whoever has this key, else from this address, else through this connection.

    Comparable, and no more. Of an IPv6 address the first half counts: the other is for whoever is there to choose.
    """
    keys = _keys(request) if request.app[SETTINGS].server.api_keys else ()
    if keys:
        return keys[0]
    try:
        address = ip_address(request.remote or "")
    except ValueError:  # a unix socket
        return id(request.protocol)
    return address if address.version == 4 else address.packed[:8]


def answer_headers(server: ServerSettings) -> PrepareHook:
    """A hook that tells browsers whose pages may read an answer (nobody else's, unless the settings say so).

    And clients how a key is sent, where one is missing (RFC 9110, 11.6.1).
    """
    origins = Origins(server.cors_origins)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        if response.status == 401:
            response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        if origins.allow_all:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
        elif server.cors_origins:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)
            origin = request.headers.get(hdrs.ORIGIN)
            if origin is not None and origins.allow(origin):
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin

    return add_headers


class Origins:
    """The origins that are allowed, in lower case.

    A star stands for a host (`app://*`), for labels before a name (`http://*.example.org`, which is not `example.org`),
    or for a port (`http://example.org:*`, which may be none); alone for every origin.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self.allow_all = "*" in allowed
        self._origins = _any_of(_pattern(origin) for origin in allowed if origin != "*")
        names = (origin.partition("://")[2] for origin in allowed if origin.startswith(("http://", "https://")))
        self._hosts = _any_of(_pattern(host_of(name)) for name in names)

    def allow(self, origin: str) -> bool:
        return self.allow_all or self._origins.fullmatch(origin.lower()) is not None

    def allow_host(self, host: str) -> bool:
        """Whether `host`, in lower case, is in the address of one of those pages: then a proxy is asked by it."""
        return self._hosts.fullmatch(host) is not None


def own_names() -> frozenset[str]:
    """What others call this machine: its name, that without the domain, and the same in the local network (mDNS)."""
    name = socket.gethostname().lower().removesuffix(".")
    short = name.partition(".")[0]
    return frozenset({name, short, f"{short}.local"}) if short else frozenset()


def _pattern(text: str) -> str:
    """A regular expression for one of the origins, or for the host of one."""
    pattern = re.escape(text)
    if pattern.endswith(r":\*"):
        pattern = pattern.removesuffix(r":\*") + r"(:\d+)?"
    return pattern.replace(r"\*\.", r"([a-z0-9_-]+\.)+").replace(r"\*", r"[^/\s]+")


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """What matches one of `patterns`, or nothing at all where there are none."""
    return re.compile("|".join(patterns) or r"(?!)")


def is_path(host: str) -> bool:
    """Whether what `--host` says is the path of a unix socket, rather than an address."""
    return "/" in host or host.endswith(".sock")


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without port and brackets, can only mean this machine (RFC 6761, 6.3)."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def host_of(authority: str) -> str:
    """The host in `host[:port]`, in lower case and without the brackets of IPv6."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].lower()


def _host(request: web.Request) -> str:
    """The host that was asked. HTTP/1.0 can do without (aiohttp sees to it in 1.1), and no browser speaks that."""
    return host_of(request.host) if hdrs.HOST in request.headers else "localhost"


def _came_by_path(request: web.Request) -> bool:
    """Whether through a unix socket, which no browser can be made to open."""
    return isinstance(request.get_extra_info("sockname"), (str, bytes))


def _is_own(origin: str, request: web.Request) -> bool:
    """Whether the page was loaded from the address that it now asks. The scheme may differ behind a proxy."""
    scheme, _, authority = origin.lower().partition("://")
    return scheme in ("http", "https") and authority == request.host.lower()


def _is_preflight(request: web.Request) -> bool:
    """A browser's question whether a page may send what it is about to (Fetch standard, CORS-preflight fetch)."""
    return request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers


def _allow_preflight(request: web.Request) -> web.Response:
    """Its origin is allowed, so is everything that the server takes."""
    headers = {
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
        hdrs.ACCESS_CONTROL_MAX_AGE: _PREFLIGHT_SECONDS,
    }
    wanted = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
    if wanted is not None:
        headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = wanted
    return web.Response(status=204, headers=headers)


def _keys(request: web.Request) -> list[str]:
    """Every key that a request brings: OpenAI's way and Anthropic's."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    keys = [token.strip()] if scheme.lower() == "bearer" else []
    named = request.headers.get("X-Api-Key")
    return keys if named is None else [*keys, named]
