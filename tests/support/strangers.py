"""Somebody at the other end of a connection who says what a worker of ggml's RPC would, or something else."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from runtime.backends.workers import PROTOCOL
from runtime.engine.placement import WorkerAddress


@contextlib.contextmanager
def peer(answer: Callable[[socket.socket], object]) -> Iterator[WorkerAddress]:
    """The address of somebody who does `answer` with each connection, and closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as connection, contextlib.suppress(OSError):
                    answer(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield WorkerAddress("127.0.0.1", listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def sized(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content


def hello(version: tuple[int, int, int] = PROTOCOL) -> bytes:
    return sized(bytes([*version, 0]) + bytes(24))


def saying(*answers: bytes) -> Callable[[socket.socket], object]:
    """Gives `answers` at once, and then waits for the other side to close."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"".join(answers))
        while connection.recv(65536):
            pass

    return answer


def devices(*memories: tuple[int, int]) -> list[bytes]:
    return [sized(struct.pack("<I", len(memories))), *(sized(struct.pack("<QQ", *memory)) for memory in memories)]
