"""A web server for downloads: ranges, ETags, redirects, and everything that goes wrong on the way."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Site:
    """What the server has and does. `files` by path; `moved` redirects; `said` answers with a status and headers.

    `cut_after` breaks off each answer that would go beyond so many bytes, as often as `cuts` says; `busy` answers 503
    so many times. `asked` records (method, path, Range).
    """

    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    said: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    cut_after: int = 0
    cuts: int = 0
    busy: int = 0
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""

    def json(self, path: str, value: Any) -> None:
        self.files[path] = json.dumps(value).encode()


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """`site` at `site.address`, until the block ends."""

    class Handler(_Handler):
        pass

    Handler.site = site
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        site, path = self.site, self.path.partition("?")[0]
        site.asked.append((self.command, path, self.headers.get("Range", "")))
        if site.busy:
            site.busy -= 1
            self._send(503, {}, b"", with_body)
        elif path in site.said:
            status, headers, body = site.said[path]
            self._send(status, headers, body, with_body)
        elif path in site.moved:
            self._send(302, {"Location": site.moved[path], **site.headers.get(path, {})}, b"", with_body)
        elif path in site.files:
            self._file(path, with_body)
        else:
            self._send(404, site.headers.get(path, {}), b"", with_body)

    def _file(self, path: str, with_body: bool) -> None:
        data = self.site.files[path]
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"ETag": etag, "Accept-Ranges": "bytes", **self.site.headers.get(path, {})}
        asked = self.headers.get("Range", "")
        if asked and self.headers.get("If-Range", etag) == etag:
            begin = int(asked.removeprefix("bytes=").partition("-")[0])
            if begin >= len(data):
                self._send(416, headers, b"", with_body)
                return
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
            self._send(206, headers, data[begin:], with_body)
        else:
            self._send(200, headers, data, with_body)

    def _send(self, status: int, headers: dict[str, str], body: bytes, with_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not with_body:
            return
        if self.site.cuts and len(body) > self.site.cut_after:
            self.site.cuts -= 1
            self.wfile.write(body[: self.site.cut_after])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
        else:
            self.wfile.write(body)
