"""A wire that takes its time: what is sent through it arrives as long after as a network would take.

In user space, because few kernels have netem. Knows sockets. Refuses to know what is sent.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_BYTES = 1 << 18


@contextmanager
def delayed(host: str, port: int, seconds: float) -> Iterator[int]:
    """The port of loopback behind which `port` of `host` is, `seconds` away in each direction."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server, (host, port), seconds), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server: socket.socket, to: tuple[str, int], seconds: float) -> None:
    with suppress(OSError):  # it is closed
        while True:
            near, _ = server.accept()
            far = socket.create_connection(to)
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in ((near, far), (far, near)):
                under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                threading.Thread(target=_take, args=(source, under_way, seconds), daemon=True).start()
                threading.Thread(target=_give, args=(sink, under_way), daemon=True).start()


def _take(source: socket.socket, under_way: queue.SimpleQueue[tuple[float, bytes]], seconds: float) -> None:
    data = b"-"
    while data:
        try:
            data = source.recv(_BYTES)
        except OSError:
            data = b""
        under_way.put((time.perf_counter() + seconds, data))


def _give(sink: socket.socket, under_way: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    with suppress(OSError):
        while True:
            due, data = under_way.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
