"""What is piped into the program or typed, as text within limits. Refuses to know what it is for."""

from __future__ import annotations

from typing import BinaryIO

from runtime.console.errors import InputNotText, InputTooLarge

LARGEST_INPUT = 16 * 2**20
"""Bytes. A context of a million tokens holds about 4 MB of English."""


def read_text(stream: BinaryIO, limit: int = LARGEST_INPUT) -> str:
    """All of `stream`, without the newline at its end; what is not UTF-8 becomes U+FFFD.

    Raises `InputTooLarge` once there is more than `limit`, `InputNotText`, `OSError`.
    """
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise InputTooLarge(limit)
    zero = data.find(0)
    if zero >= 0:
        raise InputNotText(zero)
    return data.decode("utf-8-sig", errors="replace").removesuffix("\n").removesuffix("\r")


def repaired(text: str) -> str:
    """`text` from a command line or a terminal: bytes that are no UTF-8, half characters for Python, become U+FFFD."""
    return text.encode(errors="surrogateescape").decode(errors="replace")
