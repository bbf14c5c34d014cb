"""Listening on everything that `--host` names: addresses and unix sockets, with TLS or without.

Knows sockets, and puts the system's reasons against them into words. Refuses to know what is served.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from runtime.errors import LoafError
from runtime.machine.supervised import handed_sockets
from runtime.server.access import is_loopback, is_path
from runtime.server.connections import Connection, most_connections
from runtime.server.keys import RENEWABLE
from runtime.settings import ServerSettings

if TYPE_CHECKING:
    from ssl import SSLContext

BACKLOG = 128
_ALL_OF_IPV6 = "::"
"""Takes IPv4 too, unless another address of those that are listened on is one of that."""

HANDSHAKE_SECONDS = 10.0
"""How long a client may take to begin TLS."""


class CannotListen(LoafError):
    """The address (or path) cannot be had; `reason` is the system's."""

    def __init__(self, place: str, reason: str, hint: str) -> None:
        super().__init__(f"cannot listen on {place}: {reason}", hint)
        self.place = place


class Addresses(msgspec.Struct, frozen=True):
    """Where the server listens: addresses for a browser, paths of unix sockets, and whom it can be reached by."""

    urls: tuple[str, ...]
    paths: tuple[str, ...]
    exposed: tuple[str, ...]
    """Those addresses that are not this machine's loopback."""


@asynccontextmanager
async def listening(runner: web.AppRunner, server: ServerSettings) -> AsyncIterator[Addresses]:
    """Listen while the block runs, though `runner` may stop earlier; on the sockets of a supervisor's, if it has some.

    Raises `CannotListen`, `TlsInvalid`, `OSError`."""
    context = runner.app[RENEWABLE].context = _tls(server)
    sockets = handed_sockets()
    paths: list[_SocketFile] = []
    try:
        port = server.port
        for host in () if sockets else server.hosts:
            if is_path(host):
                listener = _listen_on_path(host, server.socket_mode)
                paths.append(_SocketFile(host))
                sockets.append(listener)
            else:
                takes_ipv4 = host == _ALL_OF_IPV6 and all(is_path(other) or ":" in other for other in server.hosts)
                sockets += await _listen_on_address(host, port, takes_ipv4=takes_ipv4)
                port = port or sockets[-1].getsockname()[1]
        factory = _factory(runner, server)
        for one in sockets:
            await _Site(runner, one, factory, context).start()
        yield _addresses(sockets, "https" if context else "http", server.api_prefix)
    finally:
        for site in list(runner.sites):  # before their sockets, which they would look for
            await site.stop()
        for one in sockets:
            one.close()
        for path in paths:
            path.remove()


def _tls(server: ServerSettings) -> SSLContext | None:
    if server.tls is None:
        return None
    from runtime.server.tls import server_context

    return server_context(server.tls)


async def _listen_on_address(host: str, port: int, *, takes_ipv4: bool) -> list[socket.socket]:
    """A socket for every address that `host` has here; all on one port, where it is chosen by the system, too."""
    sockets: list[socket.socket] = []
    problem: OSError | None = None
    for family, address in await _addresses_of(host, port):
        try:
            one = _bound(family, (address[0], port, *address[2:]), takes_ipv4=takes_ipv4)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                _close(sockets)
                raise _cannot_listen(host, port, error) from error
            problem = error  # "localhost" is ::1, also where there is no IPv6
        else:
            port = port or one.getsockname()[1]
            sockets.append(one)
    if not sockets:
        assert problem is not None
        raise _cannot_listen(host, port, problem) from problem
    return sockets


async def _addresses_of(host: str, port: int) -> list[tuple[int, Any]]:
    """Families and addresses. `localhost` is both of its own, whatever a hosts file says: clients take either."""
    if host.lower() == "localhost":
        return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port, 0, 0))]
    if numeric := _numeric_addresses(host, port):
        return numeric
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be one
        raise _cannot_listen(host, port, error) from error
    return list(dict.fromkeys((entry[0], entry[4]) for entry in found))


def _numeric_addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """Nobody need be asked, nor waited for in a thread of its own, for what is an address already; else none."""
    if not host.isascii():
        return []
    try:
        flags = socket.AI_PASSIVE | socket.AI_NUMERICHOST  # of bytes, since a text would be looked at as a foreign name
        found = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM, flags=flags)
    except OSError:
        return []
    return [(entry[0], entry[4]) for entry in found]


def _bound(family: int, address: tuple[str | int, ...], *, takes_ipv4: bool) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if takes_ipv4 else 1)
        one.bind(address)
        one.listen(BACKLOG)
    except BaseException:
        one.close()
        raise
    return one


def _listen_on_path(path: str, mode: int) -> socket.socket:
    """A unix socket that those may open who `mode` lets write. One that nobody answers on is of a dead program."""
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _free(path)
        before = os.umask(0o177)
        try:
            one.bind(path)
        finally:
            os.umask(before)
        Path(path).chmod(mode)
        one.listen(BACKLOG)
    except OSError as error:
        one.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(path, "another program does already", "Choose another path with --host.") from error
        raise CannotListen(path, _reason(error), "Choose another path with --host.") from error
    return one


def _free(path: str) -> None:
    """Remove a dead program's socket. Raises `OSError`, EADDRINUSE when somebody answers on it."""
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


class _SocketFile:
    """The file of a unix socket of ours, to be removed unless it has become another's."""

    def __init__(self, path: str) -> None:
        self._path = Path(path).absolute()
        self._is = self._identity()

    def remove(self) -> None:
        with suppress(OSError):
            if self._identity() == self._is:
                self._path.unlink()

    def _identity(self) -> tuple[int, int]:
        status = self._path.lstat()
        return status.st_dev, status.st_ino


def _factory(runner: web.AppRunner, server: ServerSettings) -> Callable[[], Connection]:
    manager = runner.server
    assert manager is not None
    most = most_connections()
    return lambda: Connection(manager, server.timeout, most, f"{server.api_prefix}/")


class _Site(web.BaseSite):
    """One listening socket of a runner; `factory` makes what talks to each client."""

    def __init__(
        self, runner: web.AppRunner, sock: socket.socket, factory: Callable[[], Connection], context: SSLContext | None
    ) -> None:
        super().__init__(runner, ssl_context=context, backlog=BACKLOG)
        self._socket = sock
        self._factory = factory

    @property
    def name(self) -> str:
        return str(self._socket.getsockname())

    async def start(self) -> None:
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            self._factory,
            sock=self._socket,
            backlog=BACKLOG,
            ssl=self._ssl_context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if self._ssl_context else None,
        )


def _addresses(sockets: list[socket.socket], scheme: str, prefix: str) -> Addresses:
    names = [one.getsockname() for one in sockets]
    pairs = [(name[0], name[1]) for name in names if isinstance(name, tuple)]
    return Addresses(
        urls=tuple(f"{scheme}://{_authority(_reachable(host), port)}{prefix}" for host, port in pairs),
        paths=tuple(name for name in names if isinstance(name, str)),
        exposed=tuple(_authority(host, port) for host, port in pairs if not is_loopback(host)),
    )


def _reachable(host: str) -> str:
    """An address that a browser here can ask: the one that means all of them is none."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> CannotListen:
    place = _authority(host, port)
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return CannotListen(place, "another program does already", "Choose another port with --port.")
    if isinstance(error, socket.gaierror):
        here = "Name an address of this machine with --host: 127.0.0.1, or 0.0.0.0 for all that it has."
        return CannotListen(place, "this is no address, and no name that can be looked up", here)
    return CannotListen(place, _reason(error), "Choose another address with --host or --port.")


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error)


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()
