"""Files of pictures into pixels: by what is in them and not by their names, within bounds.

What a header claims is checked before memory is taken for it. One picture is decoded at a time, so that many at once
take no more memory than one, and no more processors.
"""

from __future__ import annotations

import hashlib
import io
import math
import threading
import time
import warnings
from typing import Any

from runtime.engine.backend import Pixels
from runtime.media.errors import MediaTooLarge, MediaUnreadable

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 20_000_000
MOST_PIXELS_OF_WEBP = 12_000_000
"""Its decoder keeps two canvases besides, and hands over a copy: 18 bytes a pixel."""

MOST_PIXELS_OF_JPEG = 50_000_000
"""What phones take has as many; a JPEG is read smaller at once, which others cannot be. One that comes in several scans
(progressive, or colour after colour) is kept whole until the last, in 6 bytes a pixel: it is like the others."""

MOST_SECONDS = 10.0
"""Of decoding one: a few kilobytes can have scans without end, each over all of a large picture."""

_PIECE = 16 * 1024
"""Bytes that are decoded until the time is looked at again, which takes a second or two of the worst kind."""

_ENOUGH = 12_000_000
"""Pixels: no projector looks at more. Larger pictures are made smaller before they are copied from one part of the
program to the next."""

_WHOLE = ("L", "LA", "RGB", "RGBA", "CMYK", "F")
"""Modes whose pixels can be averaged as they are."""

MOST_PICTURES = 64
"""Of one request."""

_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
"""Brands of ISO base media files whose pictures are HEVC: its patents are not ours to license."""

_decoding = threading.Lock()


def digest_of(data: bytes) -> bytes:
    """What tells a picture from others: the SHA-256 of its file."""
    return hashlib.sha256(data).digest()


def decode(field: str, data: bytes) -> Pixels:
    """The pixels of the picture in `data`, upright, over white, the first of several.

    Raises `MediaUnreadable`, `MediaTooLarge`.
    """
    if len(data) > MOST_BYTES:
        raise MediaTooLarge(field, "bytes", MOST_BYTES)
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC:
        raise MediaUnreadable(field, "HEIC is not decoded here")
    with _decoding:
        try:
            return _decode(field, data)
        except MediaTooLarge:
            raise
        except MemoryError as error:
            raise MediaTooLarge(field, "pixels for the memory that is free", MOST_PIXELS) from error
        except Exception as error:  # what decoders raise of a damaged file is of any kind
            raise MediaUnreadable(field, _reason(error)) from error


def _decode(field: str, data: bytes) -> Pixels:
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.MAX_IMAGE_PIXELS = None  # ours is checked below, of each picture
        with Image.open(_InTime(data), formats=_FORMATS) as image:
            width, height = image.size
            most = _most_pixels(image, data)
            if width * height > most:
                raise MediaTooLarge(field, "pixels", most)
            orientation = image.getexif()
            factor = _factor(width, height)
            image.draft(image.mode, (width // factor, height // factor))
            image.decodermaxblock = _PIECE
            upright = _reduced(image)
            upright.getexif().update(orientation)
            ImageOps.exif_transpose(upright, in_place=True)
            plain = _rgb(upright)
            return Pixels(digest_of(data), plain.width, plain.height, plain.tobytes())


class _InTime(io.BytesIO):
    """What is decoded, as long as there is time. `read` raises `TimeoutError`."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._deadline = time.monotonic() + MOST_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"it takes longer than {MOST_SECONDS:g} seconds")
        return super().read(size)


def _most_pixels(image: Any, data: bytes) -> int:
    if image.format == "WEBP":
        return MOST_PIXELS_OF_WEBP
    return MOST_PIXELS_OF_JPEG if _is_read_smaller(image, data) else MOST_PIXELS


def _is_read_smaller(image: Any, data: bytes) -> bool:
    """Whether it is a JPEG with all its colours in one scan.

    Segments are a marker, and a length that counts itself; the scan's begins with the number of its colours (ITU T.81,
    B.1 and B.2.3).
    """
    if image.format not in ("JPEG", "MPO") or "progressive" in image.info:
        return False
    place = 2
    while data[place + 1 : place + 2] not in (b"", b"\xda"):
        place += 1 if data[place + 1] == 0xFF else 2 + max(int.from_bytes(data[place + 2 : place + 4], "big"), 2)
    return data[place + 4 : place + 5] == bytes([len(image.getbands())])


def _factor(width: int, height: int) -> int:
    """By how much a picture is made smaller, in each direction."""
    return math.ceil(math.sqrt(max(width * height / _ENOUGH, 1)))


def _reduced(image: Any) -> Any:
    """The same, smaller if it is too large and its pixels can be averaged as they are."""
    factor = _factor(*image.size)
    return image if factor == 1 or image.mode not in _WHOLE else image.reduce(factor)


def _rgb(image: Any) -> Any:
    """8 bits each of red, green and blue. Each step but the last may be of the full size: it takes one copy at most."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more, of grey
        return _reduced(image.convert("F")).point(lambda value: value / 257).convert("L").convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        with_alpha = _reduced(image.convert("RGBA"))
        paper = Image.new("RGB", with_alpha.size, (255, 255, 255))
        paper.paste(with_alpha, mask=with_alpha.getchannel("A"))
        return paper
    return _reduced(image.convert("RGB"))


def _reason(error: Exception) -> str:
    name = type(error).__name__
    if name == "UnidentifiedImageError":
        return "it is of no kind that is known"
    return str(error) or name
