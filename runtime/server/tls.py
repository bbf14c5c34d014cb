"""HTTPS: a certificate and its key into what asyncio needs, and what is wrong with them into words."""

from __future__ import annotations

import ssl
from pathlib import Path

from runtime.errors import LoafError
from runtime.settings import TlsFiles

_DIFFERENT_PAIR = ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's reasons for a key that is not the certificate's: of the same type, and of another."""


class TlsInvalid(LoafError):
    """One of the two files cannot be used; `reason` says why."""

    def __init__(self, file: Path, reason: str, hint: str) -> None:
        super().__init__(f"{file}: {reason}", hint)
        self.file = file


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """TLS 1.2 and newer, as Python has it by default. Raises `TlsInvalid`, `OSError`."""
    for file in (files.certificate, files.key):
        with file.open("rb"):  # ssl does not say which of them it cannot read
            pass
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.certificate, files.key, password=lambda: _refuse_password(files.key))
    except ssl.SSLError as error:
        if error.reason in _DIFFERENT_PAIR:
            raise TlsInvalid(
                files.key, f"is not the key of {files.certificate}", "Give the pair that was made together."
            ) from error
        raise TlsInvalid(
            files.certificate, f"this and {files.key} are not a certificate and a key in PEM form", "Convert them."
        ) from error
    return context


def _refuse_password(key: Path) -> str:
    """Without this, OpenSSL would ask on the terminal, which a service does not have."""
    raise TlsInvalid(key, "the key is encrypted", "Decrypt it: openssl pkey -in KEY -out NEWKEY.")
