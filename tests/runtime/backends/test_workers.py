"""What is asked of a worker before anything is computed there, and what is said of one that is none."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.backends.workers import PROTOCOL, WorkerDevice, WorkerUnreachable, ask, find
from runtime.engine.placement import WorkerAddress
from support.strangers import devices, hello, peer, saying, sized


def test_what_a_worker_has() -> None:
    with peer(saying(hello(), *devices((5, 7), (9, 8)))) as address:
        assert ask(address).devices == (WorkerDevice(total=7, free=5), WorkerDevice(total=8, free=8))
        assert str(ask(WorkerAddress("localhost", address.port)).address) == f"localhost:{address.port}"


STRANGERS = [
    ("it says nothing", saying(), "does not answer within"),
    ("it stops in the middle", saying(hello()[:20]), "does not answer within"),
    ("it closes at once", lambda _connection: None, "closes the connection"),
    ("a web server", saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "something else"),
    ("another length", saying(sized(bytes(2**16))), "something else"),
    ("another version", saying(hello((PROTOCOL[0], PROTOCOL[1] + 1, 0))), "speaks version"),
    ("other numbers for operations", saying(hello((*PROTOCOL[:2], PROTOCOL[2] + 1))), "speaks version"),
    ("no devices", saying(hello(), sized(struct.pack("<I", 0))), "0 devices"),
    ("too many devices", saying(hello(), sized(struct.pack("<I", 2**32 - 1))), "4,294,967,295 devices"),
]


@pytest.mark.parametrize(("answer", "says"), [row[1:] for row in STRANGERS], ids=[row[0] for row in STRANGERS])
def test_strangers(answer: Callable[[socket.socket], object], says: str) -> None:
    with peer(answer) as address, pytest.raises(WorkerUnreachable, match=says) as raised:
        ask(address, seconds=0.2)
    assert raised.value.hint


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=80))
def test_nonsense_is_no_worker(content: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(content)

    with peer(answer) as address, pytest.raises(WorkerUnreachable):
        ask(address, seconds=1)


def test_a_name_that_nobody_has() -> None:
    with pytest.raises(WorkerUnreachable, match="no IPv4 address"):
        ask(WorkerAddress("no.such.host.invalid", 50052))


def test_workers_together() -> None:
    many = saying(hello(), *devices(*[(1, 1)] * 9))
    with peer(many) as one, peer(many) as other:
        with pytest.raises(WorkerUnreachable, match="18 devices"):
            find((one, other))
        with pytest.raises(WorkerUnreachable, match="another name"):
            find((one, WorkerAddress("localhost", one.port)))
