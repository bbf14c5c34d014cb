"""Running the real things as processes: the `loaf` command, a bundle, a bundle that serves."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from support.places import ROOT

CHAT = "/v1/chat/completions"
DEMO_GGUF = ROOT / "bundler" / "demo" / "demo.gguf"
Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""What the fixture `run` is."""


def loaf(*arguments: str, check: bool = False, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the `loaf` command of this environment."""
    command = [str(Path(sys.executable).with_name("loaf")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=1800, **options)


def clean_environment(cache: Path | None = None, **more: str) -> dict[str, str]:
    """This process's environment without what would steer a bundle; `cache` is where it unpacks to."""
    steering = re.compile("LOAF_.*|XDG_CACHE_HOME|DISPLAY|WAYLAND_DISPLAY")
    kept = {name: value for name, value in os.environ.items() if not steering.fullmatch(name)}
    if cache is not None:
        kept["LOAF_CACHE_DIR"] = str(cache)
    return kept | more


class Server:
    """A bundle that serves, as a process. `flags` come after `--server --nobrowser`."""

    def __init__(self, bundle: Path, *flags: str, cache: Path, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [str(bundle), "--server", "--nobrowser", "--port", "0", *flags],
            env=clean_environment(cache, **(environment or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.port = 0

    def __enter__(self) -> Server:
        self._wait_until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> tuple[int, Any]:
        """(status, JSON or text) of a GET."""
        return self._request("GET", path, None)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """(status, JSON or text) of a POST; `body` is sent as JSON, or as it is when it is bytes."""
        return self._request("POST", path, body)

    def stream(self, path: str, body: Any) -> list[tuple[float, str]]:
        """The events of a stream: (when it came, in seconds by the monotonic clock; what was after `data: `)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", path, json.dumps(body | {"stream": True}))
        response = connection.getresponse()
        assert response.status == 200, response.read()
        assert response.headers["Transfer-Encoding"] == "chunked"
        events = []
        for line in response:
            if line.strip():
                name, _, data = line.decode().rstrip("\n").partition(": ")
                assert name == "data", line
                events.append((time.monotonic(), data))
        connection.close()
        return events

    def _request(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)  # a GPU in software is slow
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, data)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if response.headers.get_content_type() == "application/json":
            return response.status, json.loads(content)
        return response.status, content.decode()

    def _wait_until_ready(self) -> None:
        """Read what the process says until it names its address; then go on reading, so that it never blocks."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if match := re.search(r"Serving on (?:https?://[^ ]*:(\d+))?", line):
                self.port = int(match[1] or 0)
                break
        else:
            raise AssertionError(f"the server ended with {self.process.wait()}: {''.join(self.said)}")
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)


def lines(server: Server, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a stream."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", path, json.dumps(body))
    response = connection.getresponse()
    assert response.headers["Content-Type"].startswith("application/x-ndjson")
    objects = [json.loads(line) for line in response]
    connection.close()
    return objects
