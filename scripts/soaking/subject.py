"""The server under load, from outside: started and stopped, its memory, whether anything runs in it.

Knows Linux's /proc, and llama-server's `/slots` and `/metrics`.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from wire import Address, Reply, ask

ROOT = Path(__file__).parent.parent.parent
_START_SECONDS = 60
_STOP_SECONDS = 20
_POLL_SECONDS = 0.1
_RUNNING = re.compile(r"^[\w:]*requests_(?:processing|deferred)(?:\{.*\})? (\S+)$", re.MULTILINE)

_TRACEBACK = re.compile(r"^Traceback.*\n(?:[ \t].*\n)+.*", re.MULTILINE)


class SubjectFailed(Exception):
    """The server does not start, has ended, or does not come to rest."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A server at `address`. `process` where we have started it; `pid` 0 where its memory is not to be seen."""

    address: Address
    pid: int = 0
    process: subprocess.Popen[bytes] | None = None
    log: IO[bytes] | None = field(default=None, repr=False)

    def check_alive(self) -> None:
        """Raises `SubjectFailed` when the process has ended."""
        if self.process is not None and (code := self.process.poll()) is not None:
            raise SubjectFailed(f"the server ended with {code}: {self.said()[-2000:]}")

    def memory(self) -> int | None:
        """Bytes that belong to no file. None where that is not to be seen.

        Pages of files come and go with what else the machine does, and count for less when others map them too.
        """
        if not self.pid:
            return None
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        match = re.search(r"^Anonymous:\s*(\d+)", rollup, re.MULTILINE)
        assert match is not None, "the kernel tells of anonymous memory"
        return int(match[1]) * 1024

    def said(self) -> str:
        """What it wrote to standard error so far."""
        if self.log is None:
            return ""
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    async def rest(self, patience: int) -> None:
        """Wait until nothing runs or waits in it. Raises `SubjectFailed` after `patience` seconds."""
        busy = ""
        for _ in range(round(patience / _POLL_SECONDS)):
            if not (busy := await self._busy(patience)):
                return
            self.check_alive()
            await asyncio.sleep(_POLL_SECONDS)
        raise SubjectFailed(f"{patience} seconds after the last request: {busy}")

    async def empty_pool(self, n_ctx: int, patience: int) -> None:
        """Erase every slot; then one request must have room for the whole context. Raises `SubjectFailed`."""
        slots = await self._get("/slots", patience)
        if slots.status != 200:
            return
        for slot in json.loads(slots.body):
            erased = await ask(self.address, "POST", f"/slots/{slot['id']}?action=erase", patience=patience)
            if erased.status == 501:
                return
            if erased.status != 200:
                raise SubjectFailed(f"slot {slot['id']} cannot be erased: {erased.body!r}")
        body = json.dumps({"prompt": [20 + i % 900 for i in range(n_ctx - 9)], "n_predict": 8, "ignore_eos": True})
        whole = await ask(self.address, "POST", "/completion", body.encode(), patience=patience)
        if whole.status != 200 or json.loads(whole.body)["tokens_predicted"] != 8:
            raise SubjectFailed(f"a request that needs the whole context does not get it: {whole.body[:500]!r}")

    async def _busy(self, patience: int) -> str:
        """What runs, in words; empty when nothing does, as far as the server tells."""
        slots, metrics = await self._get("/slots", patience), await self._get("/metrics", patience)
        if slots.status == 200:
            running = [slot["id"] for slot in json.loads(slots.body) if slot["is_processing"]]
            if running:
                return f"slots {running} still run"
        if metrics.status == 200:
            for match in _RUNNING.finditer(metrics.body.decode()):
                if float(match[1]):
                    return f"/metrics says {match[0]}"
        return ""

    async def _get(self, path: str, patience: int) -> Reply:
        try:
            return await ask(self.address, "GET", path, patience=patience)
        except OSError as error:
            self.check_alive()
            raise SubjectFailed(f"GET {path}: {error}") from error


@asynccontextmanager
async def started(flags: Sequence[str]) -> AsyncIterator[Subject]:
    """A server from the sources, with these `flags`. When the block ends it must end in peace.

    Raises `SubjectFailed`.
    """
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-m", "runtime", "--server", "--nobrowser", "--port", "0", *flags]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        subject = Subject(Address("", 0), process.pid, process, log)
        try:
            address = await _listening(subject)
            yield Subject(address, process.pid, process, log)
            subject.check_alive()
            process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(process.wait, _STOP_SECONDS)
            said = subject.said()
            if code != 0:
                raise SubjectFailed(f"the server was stopped and ended with {code}: {said[-2000:]}")
            if match := _TRACEBACK.search(said):
                raise SubjectFailed(f"the server met with a bug: {match[0]}")
        except subprocess.TimeoutExpired as error:
            raise SubjectFailed(f"the server does not stop within {_STOP_SECONDS} seconds") from error
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def running(url: str, pid: int) -> Subject:
    """A server that somebody else has started."""
    parts = urlsplit(url)
    return Subject(Address(parts.hostname or "127.0.0.1", parts.port or 80), pid)


async def _listening(subject: Subject) -> Address:
    """Where a server that is starting listens, once it has loaded its model."""
    for _ in range(round(_START_SECONDS / _POLL_SECONDS)):
        if match := re.search(r"http://([^\s/]*):(\d+)", subject.said()):
            return Address(match[1].strip("[]"), int(match[2]))
        subject.check_alive()
        await asyncio.sleep(_POLL_SECONDS)
    raise SubjectFailed(f"the server is not ready after {_START_SECONDS} seconds: {subject.said()}")
