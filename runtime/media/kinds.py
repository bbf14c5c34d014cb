"""What a file is, by the bytes that it begins with. Names and types that it was sent with are not looked at."""

from __future__ import annotations

from typing import Literal

Kind = Literal["picture", "sound"]
KINDS: tuple[Kind, ...] = ("picture", "sound")


def is_sound(data: bytes) -> bool:
    """Whether it is of one of the kinds of sound that are decoded here; that it is whole, decoding finds."""
    if data[:4] in (b"RIFF", b"RF64"):
        return data[8:12] == b"WAVE"
    return data[:4] in (b"fLaC", b"OggS") or data[:3] == b"ID3" or _begins_frame(data)


def _begins_frame(data: bytes) -> bool:
    """Whether an MPEG audio frame begins here (ISO/IEC 11172-3, 2.4.1.3): 11 bits set, and no reserved layer.

    AAC's frames (ADTS) begin alike, with the layer that is reserved here.
    """
    return len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] & 0x06 != 0
