"""What a supervisor hands to a process, and is told by it: systemd's sockets and notifications, a container's orphans.

The protocols are those of sd_listen_fds(3), sd_notify(3) and init: environment variables, a datagram socket, children
that nobody else waits for. Refuses to know what is served.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

_FIRST = 3
"""SD_LISTEN_FDS_START."""


def handed_sockets() -> list[socket.socket]:
    """The listening sockets that were passed to this process; none where there are none, or they are another's.

    The environment does not tell of them any more then: children are not to take them for theirs.
    """
    meant_for = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if meant_for != str(os.getpid()) or not count.isdecimal():
        return []
    sockets = []
    for fd in range(_FIRST, _FIRST + int(count)):
        os.set_inheritable(fd, False)
        one = socket.socket(fileno=fd)
        one.setblocking(False)
        sockets.append(one)
    return sockets


def is_supervised() -> bool:
    """Whether there is a supervisor that wants to be told."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(state: str) -> None:
    """Tell the supervisor, if there is one that wants to know: `READY=1`, `STOPPING=1`, …"""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.sendto(state.encode(), address)


def notify_reloading() -> None:
    """The same, of reading settings anew; `READY=1` follows."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def reap_orphans(on_signal: Callable[[int, Callable[[], None]], None]) -> None:
    """Where this process is the first of a container, wait for what was started there and lost its parent.

    Nobody else does, and each is kept by the kernel until somebody has. `on_signal` registers what a signal does.
    """
    if os.getpid() == 1:
        on_signal(signal.SIGCHLD, _reap)
        _reap()


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
