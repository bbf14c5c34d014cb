"""HTTP as a test wants it: requests with any headers, or bytes as they are."""

from __future__ import annotations

import http.client
import socket

PAGE = "https://page.example"
"""Where another page is from, as browsers say it."""


def ask(
    port: int, path: str = "/v1/models", method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    """(status, headers, body) of a request; names of headers are written with `_` for `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    response = connection.getresponse()
    answer = response.read().decode()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.headers.items()}, answer


def exchange(port: int, *pieces: bytes, closes_sending: bool = False) -> bytes:
    """What comes back for bytes as they are, until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        for piece in pieces:
            raw.sendall(piece)
        if closes_sending:
            raw.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while data := raw.recv(65536):
                answer += data
        except ConnectionResetError:
            pass
        return answer
