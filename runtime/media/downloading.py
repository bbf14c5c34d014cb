"""A picture or sound from an address that a client has named: by HTTPS, from the public internet only, within bounds.

A server that fetches what it is told to can be made to ask others in its own network. So the names are looked up here,
the connection goes to an address that was looked at, and where a server sends on to another, that is looked at too.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import time
from urllib.parse import urljoin, urlsplit

from runtime import __version__
from runtime.fetching.web import trusting_context
from runtime.media.decoding import MOST_BYTES
from runtime.media.errors import MediaRefused, MediaTooLarge

SECONDS = 20.0
"""For all of it."""

_SENT_ON = 3
_CHUNK = 64 * 1024


def download(field: str, url: str) -> bytes:
    """What is at `url`. Raises `MediaRefused`, `MediaTooLarge`."""
    deadline = time.monotonic() + SECONDS
    for _time in range(_SENT_ON + 1):
        answer = _get(field, url, deadline)
        if isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer)
    raise MediaRefused(field, "the address sends on to others too often")


def _get(field: str, url: str, deadline: float) -> bytes | str:
    """The content, or the address that is named in its place."""
    host, port, path = _parts(field, url)
    connection = http.client.HTTPSConnection(host, port)
    try:
        plain = socket.create_connection((_public_address(field, host, port), port), _left(deadline))
        connection.sock = trusting_context().wrap_socket(plain, server_hostname=host)
        connection.request("GET", path, headers={"User-Agent": f"loaf/{__version__}", "Accept": "image/*, audio/*"})
        response = connection.getresponse()
        if response.status in (301, 302, 303, 307, 308):
            return response.getheader("location", "")
        if response.status != 200:
            raise MediaRefused(field, f"the server of that address answers {response.status}")
        return _read(field, response, plain, deadline)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise MediaRefused(field, f"nothing comes from that address: {error or type(error).__name__}") from error
    finally:
        connection.close()


def _parts(field: str, url: str) -> tuple[str, int, str]:
    """Host, port and path of an address that may be asked."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError as error:
        raise MediaRefused(field, f"this is no address: {error}") from error
    if parts.scheme.lower() != "https" or not host or parts.username is not None:
        raise MediaRefused(field, "files are fetched from addresses that begin with https:// only")
    return host, port, f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


def _read(field: str, response: http.client.HTTPResponse, plain: socket.socket, deadline: float) -> bytes:
    data = b""
    while chunk := response.read1(_CHUNK):
        data += chunk
        if len(data) > MOST_BYTES:
            raise MediaTooLarge(field, "bytes", MOST_BYTES)
        plain.settimeout(_left(deadline))
    return data


def _public_address(field: str, host: str, port: int) -> str:
    """One of the addresses of `host`, of which none is anybody's own network."""
    found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not found or not all(_is_public(address) for address in found):
        raise MediaRefused(field, "that address is not on the public internet")
    return found[0]


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    inside = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inside or address).is_global and not (inside or address).is_multicast


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it took too long")
    return left
