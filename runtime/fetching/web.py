"""A request for a file: by HTTPS, through the proxies that the environment names, with this machine's certificates.

Knows whom a token may be shown to. Refuses to know what is fetched.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from runtime import __version__
from runtime.fetching.errors import FetchFailed

TIMEOUT = 30.0
"""Seconds that a server may be silent."""

AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",
)
"""Where systems keep who may vouch for a server; the OpenSSL in the file knows its builder's place only."""


class Unreachable(Exception):
    """The server cannot be reached, or has broken off. Trying again may help."""


class Refused(Exception):
    """The server answers with this `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the server answers {status}")
        self.status = status


def open_url(url: str, headers: Mapping[str, str], token: str = "") -> Any:
    """The answer, to be read and closed. `token` is shown to the server of `url` only, to none that it names instead.

    Raises `Unreachable`, `Refused`, and `FetchFailed` for an address that is not to be asked.
    """
    check_address(url)
    request = urllib.request.Request(url, headers={"User-Agent": f"loaf/{__version__}", **headers})
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusting_context()), _Redirects)
    try:
        return opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise Refused(error.code) from error
    except ssl.SSLCertVerificationError as error:
        raise _unverified(url, error) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise _unverified(url, error.reason) from error
        raise Unreachable(str(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise Unreachable(str(error) or type(error).__name__) from error


def trusting_context() -> ssl.SSLContext:
    """For connections to servers that this machine's authorities vouch for."""
    context = ssl.create_default_context()
    for path in AUTHORITIES:
        if Path(path).is_file():
            context.load_verify_locations(path)
            break
    return context


def check_address(url: str) -> None:
    """Raises `FetchFailed` unless it is HTTPS, or HTTP on this machine, where nobody listens on the way."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    is_local = host in ("localhost", "127.0.0.1", "::1")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_local)):
        raise FetchFailed(
            shown(url), "only addresses that begin with https:// are asked", "Name one, or download it first (-m FILE)."
        )


def shown(url: str) -> str:
    """`url` without what may be a secret: what is before an @, and the query."""
    parts = url.partition("?")[0]
    scheme, mark, rest = parts.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows as browsers do, but not to where `check_address` would not go."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _unverified(url: str, error: ssl.SSLCertVerificationError) -> FetchFailed:
    return FetchFailed(
        shown(url),
        f"the server cannot be told from an impostor ({error.verify_message})",
        "Install the system's certificates (ca-certificates), or name a file of them in SSL_CERT_FILE.",
    )
