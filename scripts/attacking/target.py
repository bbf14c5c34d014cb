"""The file that is attacked: started as a server, its memory, and requests to it as bytes or as JSON.

Knows Linux's /proc. Refuses to know what is an attack.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60
STOP_SECONDS = 20
PATIENCE = 60.0

KEY = "swordfish"


class TargetFailed(Exception):
    """The server does not start, has ended, or does not stop."""


@dataclass(frozen=True)
class Target:
    """`file` serves on `port` as the process `pid`, and keeps states in `slots`. `work` is for files of an attack."""

    file: Path
    port: int
    pid: int
    slots: Path
    work: Path
    environment: Mapping[str, str] = field(repr=False)

    def memory(self) -> int:
        """Bytes that it has in memory and that belong to no file."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        found = re.search(r"^Anonymous:\s*(\d+)", rollup, re.MULTILINE)
        assert found is not None, "the kernel tells of anonymous memory"
        return int(found[1]) * 1024

    def begin_peak(self) -> None:
        """Let the peak be what there is."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """Bytes that it had in memory at most since then."""
        found = re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def ask(
        self, path: str, body: Any = None, *, method: str | None = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, str]:
        """(status, text) of a request; `body` is sent as JSON, or as it is when it is bytes."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method or ("GET" if data is None else "POST"), path, data, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def slots_running(self) -> list[bool]:
        """Of each slot, whether a request runs in it."""
        return [slot["is_processing"] for slot in json.loads(self.ask("/slots")[1])]

    def exchange(self, *pieces: bytes) -> bytes:
        """What comes back for bytes as they are, until the server closes the connection, or is silent for a second."""
        with self.connected() as raw:
            raw.settimeout(1)
            with suppress(OSError):
                for piece in pieces:
                    raw.sendall(piece)
            answer = b""
            with suppress(OSError):
                while data := raw.recv(65536):
                    answer += data
            return answer

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def run(self, *arguments: str, file: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """The file, or a copy of it, as a command."""
        return subprocess.run(
            [str(file or self.file), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            env={**self.environment, **environment},
        )


@contextmanager
def served(file: Path, *flags: str) -> Iterator[Target]:
    """`file` as a server, until the block ends; then it must end in peace. Raises `TargetFailed`."""
    with tempfile.TemporaryDirectory(prefix="loaf-attack-") as folder, tempfile.TemporaryFile("w+") as log:
        slots, work = Path(folder, "slots"), Path(folder, "work")
        slots.mkdir()
        work.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOAF_")}
        environment = kept | {"LOAF_CACHE_DIR": str(Path(folder, "cache"))}
        command = [str(file), "--server", "--nobrowser", "--port", "0", "--slot-save-path", str(slots), *flags]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env=environment)
        try:
            yield Target(file, _port(process, log), process.pid, slots, work, environment)
            if process.poll() is not None:
                raise TargetFailed(f"the server has ended with {process.returncode}: {_said(log)[-2000:]}")
            process.send_signal(signal.SIGTERM)
            if process.wait(STOP_SECONDS) != 0 or "Traceback" in _said(log):
                raise TargetFailed(f"the server ended with {process.returncode}: {_said(log)[-2000:]}")
        except subprocess.TimeoutExpired as error:
            raise TargetFailed(f"the server does not stop within {STOP_SECONDS} seconds") from error
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _port(process: subprocess.Popen[bytes], log: Any) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"Serving on http://[^ ]*:(\d+)", _said(log)):
            return int(found[1])
        time.sleep(0.05)
    raise TargetFailed(f"the server does not start: {_said(log)[-2000:]}")


def _said(log: Any) -> str:
    log.seek(0)
    text: str = log.read()
    return text
