"""`scripts/soak`, short: the server bears mixed requests of which some are left; and a server that does not is found.

What cannot go wrong with our own server is done to its answers on their way, by a proxy that damages them.
"""

from __future__ import annotations

import re
import shlex
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from support.bundles import DEMO_GGUF, ROOT, Server

FLAGS = ("-c", "2048", "-np", "8", "-t", "1")


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "soaking"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


@pytest.mark.slow
def test_mixed_requests_do_the_server_no_harm() -> None:
    done = soak("--requests", "300", "--warm-up", "100", "--patience", "200", "--", "-t", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("all "))
    answered, refused, busy, left, failed = map(int, row.split()[1:6])
    assert answered + refused + busy + left == 300
    assert failed == 0
    assert refused > 10
    assert left > 10
    assert re.search(r"^[1-9]\d* texts asked again", done.stdout, re.MULTILINE)


# -- what is found ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo, served from the sources."""
    folder = tmp_path_factory.mktemp("server")
    program = folder / "program"
    program.write_text(f'#!/bin/sh\ncd {shlex.quote(str(ROOT))}\nexec {shlex.quote(sys.executable)} -m runtime "$@"\n')
    program.chmod(0o755)
    with Server(program, "-m", str(DEMO_GGUF), *FLAGS, cache=folder) as server:
        yield server


Damage = Callable[[bytes], bytes | None]
"""What becomes of bytes that the server sends; None when the connection ends there."""


class Proxy(socketserver.ThreadingTCPServer):
    """Hands everything on to `port` and back, but what comes back through `damage`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, damage: Damage) -> None:
        super().__init__(("127.0.0.1", 0), _HandOn)
        self.behind = port
        self.damage = damage

    def __enter__(self) -> Proxy:
        threading.Thread(target=self.serve_forever, args=(0.05,)).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        super().__exit__(*exception)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _HandOn(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Proxy)
        with socket.create_connection(("127.0.0.1", self.server.behind)) as behind:
            there = threading.Thread(target=hand_on, args=(self.request, behind, lambda data: data), daemon=True)
            there.start()
            hand_on(behind, self.request, self.server.damage)
            there.join()


def hand_on(source: socket.socket, target: socket.socket, damage: Damage) -> None:
    with suppress(OSError):
        while (data := source.recv(65536)) and (damaged := damage(data)) is not None:
            target.sendall(damaged)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def instead(old: bytes, new: bytes, *, later: int = 0) -> Damage:
    """Says `new` for `old`, which is as long, after it has let `old` through so many times."""
    assert len(old) == len(new)
    seen = 0

    def damage(data: bytes) -> bytes:
        nonlocal seen
        seen += old in data
        return data.replace(old, new) if seen > later else data

    return damage


def cut_off(data: bytes) -> bytes | None:
    """Ends every stream before its last event."""
    return None if b'"stop":true' in data and b"data: " in data else data


def stuck() -> Damage:
    """Says nothing any more after a while."""
    said = 0

    def damage(data: bytes) -> bytes:
        nonlocal said
        said += len(data)
        return data if said < 100_000 else b""

    return damage


FOUND: list[tuple[str, Callable[[], Damage], str]] = [
    ("a stream that breaks off", lambda: cut_off, "the connection ended"),
    ("a failure", lambda: instead(b"HTTP/1.1 200 OK", b"HTTP/1.1 500 OK"), "status 500|no error in"),
    ("no error object", lambda: instead(b'{"error":', b'{"eroor":'), "no error in"),
    ("no last event", lambda: instead(b'"stop":true', b'"stop":null'), "the last event does not say so|came to an end"),
    ("another's text", lambda: instead(b"jumps over", b"over jumps", later=2), "not as it was"),
    ("no end", stuck, "no end of it after"),
    ("something still runs", lambda: instead(b'_processing":false', b'_processing":true '), "still run"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "complaint"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND])
def test_what_is_wrong_is_found(server: Server, damage: Callable[[], Damage], complaint: str) -> None:
    with Proxy(server.port, damage()) as proxy:
        done = soak("--url", proxy.url, "--requests", "60", "--warm-up", "20", "--at-once", "30", "--patience", "4")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(complaint, done.stdout), done.stdout


def test_memory_that_grows_is_found(server: Server) -> None:
    pid = str(server.process.pid)
    done = soak("--url", server.url, "--pid", pid, "--requests", "10", "--warm-up", "10", "--growth", "-1000")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "memory grew" in done.stdout


def test_a_server_that_is_not_there_is_found() -> None:
    done = soak("--url", "http://127.0.0.1:1", "--requests", "1")
    assert done.returncode == 1
    assert "Connect" in done.stdout
