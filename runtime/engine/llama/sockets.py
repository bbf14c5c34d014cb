"""The sockets that ggml's RPC backend has opened, found among the files of this process, for options it does not set.

Without them, a machine that is switched off, or cut off, would be waited for without end.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SILENT_SECONDS = 30
"""After which a machine that answers no probe, or acknowledges nothing, is taken for dead."""

_PROBE_EVERY = 5


def connections() -> Iterator[socket.socket]:
    """Every TCP connection over IPv4 of this process, each under a number of its own; options count for both.

    Those that are not kept are closed; ggml's own number stays open.
    """
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if str(entry.readlink()).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as found:
                    if found.family == socket.AF_INET and found.getpeername():
                        yield found


def connected_to(host: str, port: int) -> socket.socket | None:
    """The connection that was made to that address."""
    for found in connections():
        if found.getpeername() == (host, port):
            return found.dup()
    return None


def keep_alive(connection: socket.socket) -> None:
    """Let it break where the other machine does not answer for `SILENT_SECONDS`."""
    for option, value in (
        (socket.TCP_KEEPIDLE, 2 * _PROBE_EVERY),
        (socket.TCP_KEEPINTVL, _PROBE_EVERY),
        (socket.TCP_KEEPCNT, (SILENT_SECONDS - 2 * _PROBE_EVERY) // _PROBE_EVERY),
        (socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
