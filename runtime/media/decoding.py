"""Files of pictures into pixels: by what is in them and not by their names, within bounds.

What a header claims is checked before memory is taken for it. One picture is decoded at a time, so that many at once
take no more memory than one, and no more processors.
"""

from __future__ import annotations

import hashlib
import io
import math
import threading
import warnings
from typing import Any

from runtime.engine.backend import Pixels
from runtime.media.errors import MediaTooLarge, MediaUnreadable

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 20_000_000
MOST_PIXELS_OF_JPEG = 50_000_000
"""What phones take has as many; a JPEG is read smaller at once, which others cannot be."""

_ENOUGH = 12_000_000
"""Pixels: no projector looks at more. Larger pictures are made smaller before they are copied from one part of the
program to the next."""

_WHOLE = ("L", "RGB", "RGBA", "CMYK")
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
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            most = MOST_PIXELS_OF_JPEG if image.format in ("JPEG", "MPO") else MOST_PIXELS
            if width * height > most:
                raise MediaTooLarge(field, "pixels", most)
            orientation = image.getexif()
            factor = _factor(width, height)
            image.draft(image.mode, (width // factor, height // factor))  # a JPEG is read smaller at once
            smaller = _reduced(image) if image.mode in _WHOLE else image
            smaller.getexif().update(orientation)
            plain = _reduced(_rgb(ImageOps.exif_transpose(smaller)))
            return Pixels(digest_of(data), plain.width, plain.height, plain.tobytes())


def _factor(width: int, height: int) -> int:
    """By how much a picture is made smaller, in each direction."""
    return math.ceil(math.sqrt(max(width * height / _ENOUGH, 1)))


def _reduced(image: Any) -> Any:
    factor = _factor(*image.size)
    return image if factor == 1 else image.reduce(factor)


def _rgb(image: Any) -> Any:
    """8 bits each of red, green and blue."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more, of grey
        return image.convert("F").point(lambda value: value / 257).convert("L").convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        paper = Image.new("RGB", with_alpha.size, (255, 255, 255))
        paper.paste(with_alpha, mask=with_alpha.getchannel("A"))
        return paper
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    name = type(error).__name__
    if name == "UnidentifiedImageError":
        return "it is of no kind that is known"
    return str(error) or name
