"""Requests from those who may not ask: other pages, other names, no key. And what is no request, or two in one."""

from __future__ import annotations

from collections.abc import Callable

from attack import Attack
from target import KEY, Target


def _turned_away(
    *statuses: int, path: str = "/v1/models", method: str = "GET", **headers: str
) -> Callable[[Target], str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def run(target: Target) -> str:
        status, text = target.ask(path, method=method, headers=named, body=b"{}" if method == "POST" else None)
        return "" if status in statuses else f"{status}: {text[:100]}"

    return run


WITHOUT_KEYS = (
    Attack("the name of another machine", _turned_away(403, Host="evil.example")),
    Attack("a name that begins like ours", _turned_away(403, Host="localhost.evil.example")),
    Attack("a name that ends like ours", _turned_away(403, Host="evil-localhost")),
    Attack("an address of somebody else's", _turned_away(403, Host="10.0.0.1:8080")),
    Attack("another page", _turned_away(403, Origin="https://evil.example")),
    Attack(
        "another page that posts", _turned_away(403, path="/completion", method="POST", Origin="http://evil.example")
    ),
    Attack("a page without a name", _turned_away(403, Origin="null")),
    Attack("a page of another port", _turned_away(403, Origin="http://localhost:1")),
    Attack(
        "a page that asks whether it may",
        _turned_away(403, method="OPTIONS", Origin="http://evil.example", Access_Control_Request_Method="POST"),
    ),
)
"""Asked of a server that has no keys, where the browser is what stands before it."""

WITH_KEYS = (
    Attack("no key", _turned_away(401)),
    Attack("an empty key", _turned_away(401, Authorization="Bearer ")),
    Attack("half a key", _turned_away(401, Authorization=f"Bearer {KEY[:-1]}")),
    Attack("a key and more", _turned_away(401, Authorization=f"Bearer {KEY}x")),
    Attack("a key in capitals", _turned_away(401, Authorization=f"Bearer {KEY.upper()}")),
    Attack("a key in the address", _turned_away(401, path=f"/v1/models?api_key={KEY}")),
    Attack("a key of another kind", _turned_away(401, Authorization=f"Basic {KEY}")),
    Attack("a path that is plain only later", _turned_away(401, path="/health/../v1/models")),
    Attack("a path that is escaped", _turned_away(401, path="/%76%31/models")),
    Attack("a path with two slashes", _turned_away(401, 404, path="//v1/models")),
    Attack("metrics without a key", _turned_away(401, 501, path="/metrics")),
)
"""Asked of a server that has keys."""

_POST = b"POST /v1/models HTTP/1.1\r\nHost: localhost\r\n"
_SECOND = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _no_second(*pieces: bytes) -> Callable[[Target], str]:
    """Nothing of what follows a request that can be read in two ways is taken for another one."""

    def run(target: Target) -> str:
        answer = target.exchange(*pieces)
        status = answer[9:12]
        if status not in (b"400", b"408", b"413", b"431", b"505", b""):
            return f"it is answered: {answer[:60]!r}"
        return "it is answered twice" if answer.count(b"HTTP/1.1") > 1 else ""

    return run


SMUGGLING = (
    Attack(
        "a length and chunks",
        _no_second(_POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _SECOND),
    ),
    Attack("two lengths", _no_second(_POST + b"Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}" + _SECOND)),
    Attack("two lengths in one", _no_second(_POST + b"Content-Length: 2, 60\r\n\r\n{}" + _SECOND)),
    Attack("a length with a sign", _no_second(_POST + b"Content-Length: +2\r\n\r\n{}" + _SECOND)),
    Attack("a negative length", _no_second(_POST + b"Content-Length: -2\r\n\r\n{}" + _SECOND)),
    Attack(
        "chunks that are hardly named", _no_second(_POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + _SECOND)
    ),
    Attack(
        "chunks that are not last",
        _no_second(_POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + _SECOND),
    ),
    Attack("a space before the colon", _no_second(_POST + b"Content-Length : 2\r\n\r\n{}" + _SECOND)),
    Attack("a header on two lines", _no_second(_POST + b"X-A: b\r\n Content-Length: 2\r\n\r\n{}" + _SECOND)),
    Attack("a NUL in a header", _no_second(_POST + b"X-A: b\0c\r\n\r\n" + _SECOND)),
    Attack("a chunk of a negative size", _no_second(_POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + _SECOND)),
    Attack(
        "a chunk of no size at all",
        _no_second(_POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n" + _SECOND),
    ),
    Attack(
        "a line end alone", _no_second(b"GET /v1/models HTTP/1.1\nHost: localhost\n\nGET /smuggled HTTP/1.1\r\n\r\n")
    ),
    Attack("a header without end", _no_second(b"GET / HTTP/1.1\r\nX-A: " + b"a" * 100_000)),
    Attack(
        "headers without end", _no_second(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 10_000 + b"\r\n")
    ),
    Attack("another protocol", _no_second(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))),
)
