"""A hub of models on this machine, as Hugging Face's answers, with the bad luck that a test wants it to have."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class Hub:
    """`files` of each repository; `asked` are the requests so far: (path, headers).

    The first `cuts` answers with a file end in its middle, the first `failures` of those say 503. `lies` changes what
    is sent. With a `token`, nobody else is answered; `elsewhere` is another hub, which files are to be had from.
    """

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    cuts: int = 0
    failures: int = 0
    lies: bool = False
    token: str = ""
    elsewhere: Hub | None = None
    etag: str = '"one"'
    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """`hub` at its `url` while the block runs."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        hub = self.hub
        hub.asked.append((self.path, dict(self.headers)))
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self.send_error(401)
        elif self.path.startswith("/api/models/"):
            self._list(self.path.removeprefix("/api/models/").partition("/revision/")[0])
        elif hub.failures:
            hub.failures -= 1
            self.send_error(503)
        else:
            self._send(self.path)

    def _list(self, repository: str) -> None:
        if repository not in self.hub.files:
            self.send_error(404)
            return
        siblings: list[dict[str, Any]] = [{"rfilename": "README.md", "size": 5}]
        siblings += [
            {"rfilename": name, "size": len(data), "lfs": {"sha256": hashlib.sha256(data).hexdigest()}}
            for name, data in self.hub.files[repository].items()
        ]
        self._answer(200, json.dumps({"sha": COMMIT, "siblings": siblings}).encode())

    def _send(self, path: str) -> None:
        hub = self.hub
        if hub.elsewhere is not None:
            self.send_response(302)
            self.send_header("Location", f"{hub.elsewhere.url}{path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        repository, _, name = path.strip("/").partition(f"/resolve/{COMMIT}/")
        data = hub.files.get(repository, {}).get(name)
        if data is None:
            self.send_error(404)
            return
        begin = 0
        if self.headers.get("If-Range") == hub.etag:
            begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        body = data[begin:][::-1] if hub.lies else data[begin:]
        is_cut = hub.cuts > 0
        hub.cuts -= is_cut
        self._answer(206 if begin else 200, body, sent=len(body) // 2 if is_cut else len(body))

    def _answer(self, status: int, body: bytes, sent: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.hub.etag)
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass
