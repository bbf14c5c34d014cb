"""What the server reads anew when it is told to (SIGHUP): keys in a file, and certificates. Nobody is cut off by it.

Where something is wrong with what is there now, all stays as it was.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import LoafError
from runtime.settings import ServerSettings

if TYPE_CHECKING:
    from ssl import SSLContext

MAX_KEY_FILE = 1024 * 1024
"""Bytes."""


class KeyFileUnusable(LoafError):
    """`reason` is what is the matter with it."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}", "It has a key a line.")
        self.file = file


class Keyring:
    """The keys that are known. With none, nobody is asked for one."""

    def __init__(self, server: ServerSettings) -> None:
        self._file = server.key_file
        self._given = tuple(key for key in server.api_keys if key not in server.file_keys)
        self._digests = _digests(server.api_keys)

    @property
    def asks(self) -> bool:
        return bool(self._digests)

    def knows(self, key: str) -> bool:
        """Compares digests, and all of them: the time it takes does not tell how much of a key is right."""
        from hmac import compare_digest

        given = _digest(key)
        return sum(compare_digest(given, one) for one in self._digests) > 0

    def read_anew(self) -> None:
        """Raises `KeyFileUnusable`, `OSError`."""
        if self._file is not None:
            self._digests = _digests((*self._given, *keys_in(self._file)))


class Renewable:
    """The keys, and the certificate of `context`, where there is one."""

    def __init__(self, server: ServerSettings) -> None:
        self.keyring = Keyring(server)
        self.context: SSLContext | None = None
        self._files = server.tls
        self.has_files = server.key_file is not None or server.tls is not None

    def read_anew(self) -> None:
        """Connections that are there keep the certificate that they began with.

        Raises `KeyFileUnusable`, `TlsInvalid`, `OSError`; then nothing has changed.
        """
        if self._files is not None and self.context is not None:
            from runtime.server.tls import server_context

            server_context(self._files)  # says what is wrong before anything is changed
        self.keyring.read_anew()
        if self._files is not None and self.context is not None:
            self.context.load_cert_chain(self._files.certificate, self._files.key)


def keys_in(file: Path) -> tuple[str, ...]:
    """A key a line, without white space around it. Raises `KeyFileUnusable`, `OSError`."""
    with file.open("rb") as opened:
        data = opened.read(MAX_KEY_FILE + 1)
    if len(data) > MAX_KEY_FILE:
        raise KeyFileUnusable(file, f"is larger than {MAX_KEY_FILE:,} bytes")
    try:
        lines = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise KeyFileUnusable(file, "is not UTF-8") from error
    if not any(lines):
        raise KeyFileUnusable(file, "holds no key")
    return tuple(filter(None, lines))


def _digests(keys: Collection[str]) -> tuple[bytes, ...]:
    return tuple(map(_digest, keys))


def _digest(key: str) -> bytes:
    from hashlib import sha256  # most servers have no keys

    return sha256(key.encode("utf-8", "surrogateescape")).digest()
