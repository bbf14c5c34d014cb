"""Picture files of each kind that is read, and what becomes of them: cut off, bits turned over, sizes that lie.

The files are drawn here and every change is a harmless one: the program that reads them must refuse or read them.
Knows where each format says its size. Everything comes from the generator that it is given.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from random import Random

from PIL import Image

from support.pictures import drawn, written

_SIZES = (0, 1, 3, 3464, 4471, 7000, 16384, 65535, 2**24 - 1, 2**31 - 1, 2**32 - 1)
"""3,464, 4,471 and about 7,000 squared are just below what is taken of WebP, of most forms, and of JPEG; the last ones
are the largest that a field can say."""


def files() -> dict[str, bytes]:
    """One of each form, by its name; all are read as they are."""
    image, exif = drawn(), Image.Exif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [drawn("blue")], "duration": 100}
    return {
        "png": written(image),
        "palette.png": written(image.convert("P")),
        "deep.png": written(image.convert("I;16")),
        "clear.png": written(image.convert("RGBA")),
        "jpeg": written(image, "JPEG", exif=exif),
        "progressive.jpeg": written(image, "JPEG", progressive=True),
        "cmyk.jpeg": written(image.convert("CMYK"), "JPEG"),
        "webp": written(image, "WEBP"),
        "lossless.webp": written(image, "WEBP", lossless=True),
        "animated.webp": written(image, "WEBP", **frames),
        "avif": written(image, "AVIF"),
        "gif": written(image, "GIF"),
        "animated.gif": written(image, "GIF", **frames),
        "bmp": written(image, "BMP"),
        "tiff": written(image, "TIFF"),
        "deflated.tiff": written(image, "TIFF", compression="tiff_adobe_deflate"),
        "packed.tiff": written(image, "TIFF", compression="packbits"),
    }


def mutated(count: int, random: Random) -> Iterator[tuple[str, bytes]]:
    """So many, each with what it is: every form and every change in turn."""
    forms = list(files().items())
    for number in range(count):
        name, data = forms[number % len(forms)]
        change = _CHANGES[number // len(forms) % len(_CHANGES)]
        yield f"{number}: {name} {change.__name__.strip('_')}", change(data, random)


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def _bits(data: bytes, random: Random) -> bytes:
    """A few bits turned over anywhere."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 3, 10, 50))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _header_bits(data: bytes, random: Random) -> bytes:
    """The same, where the header is."""
    return _bits(data[:64], random) + data[64:]


def _lies(data: bytes, random: Random) -> bytes:
    """Another size than it has."""
    return _lying(data, random.choice(_SIZES), random.choice(_SIZES))


def _near_the_bound(data: bytes, _random: Random) -> bytes:
    """The largest that is let through, with next to nothing in it."""
    return _lying(data, 4471, 4471)


def _overwritten(data: bytes, random: Random) -> bytes:
    """A stretch of one and the same byte: lengths and counts become as large as can be, or nothing."""
    begin, length = random.randrange(len(data)), random.choice((2, 4, 8, 64))
    return data[:begin] + bytes([random.choice((0, 0x7F, 0xFF))]) * length + data[begin + length :]


def _repeated(data: bytes, random: Random) -> bytes:
    """A part of it a hundred times over."""
    begin = random.randrange(len(data))
    end = min(len(data), begin + random.choice((4, 16, 200)))
    return data[:end] + data[begin:end] * 100 + data[end:]


_CHANGES = (_cut, _bits, _lies, _header_bits, _near_the_bound, _overwritten, _repeated)


def _lying(data: bytes, width: int, height: int) -> bytes:
    """`data` saying that its size is another, as far as its fields can hold that."""
    for begin, lie in _LIARS.items():
        if re.match(begin, data, re.DOTALL):
            return lie(data, width, height)
    raise AssertionError("a form of which it is not known where it says its size")


def _put(data: bytes, place: int, form: str, *values: int) -> bytes:
    most = 256 ** struct.calcsize(f"{form[0]}{form[1]}") - 1
    packed = struct.pack(form, *(min(value, most) for value in values))
    return data[:place] + packed + data[place + len(packed) :]


def _png(data: bytes, width: int, height: int) -> bytes:
    """IHDR is the first chunk, and has a checksum."""
    lying = _put(data, 16, ">II", width, height)
    return _put(lying, 29, ">I", zlib.crc32(lying[12:29]))


def _jpeg(data: bytes, width: int, height: int) -> bytes:
    """In the frame's header: SOF0 or SOF2."""
    frame = re.search(rb"\xff[\xc0\xc2]\x00.\x08", data, re.DOTALL)
    assert frame is not None
    return _put(data, frame.end(), ">HH", height, width)


def _gif(data: bytes, width: int, height: int) -> bytes:
    """Of the screen, and of the first frame."""
    lying = _put(data, 6, "<HH", width, height)
    frame = lying.index(b"\x2c\x00\x00\x00\x00")
    return _put(lying, frame + 5, "<HH", width, height)


def _bmp(data: bytes, width: int, height: int) -> bytes:
    return _put(data, 18, "<II", width, height)


def _tiff(data: bytes, width: int, height: int) -> bytes:
    """Of the entries in the first directory, those of width (256), height (257) and rows in a strip (278)."""
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from("<HH", data, entry)
        if tag in (256, 257, 278):
            data = _put(data, entry + 8, "<H" if kind == 3 else "<I", width if tag == 256 else height)
    return data


def _webp(data: bytes, width: int, height: int) -> bytes:
    """Of the canvas, where there is one (VP8X: 24 bits each), and of the first frame (VP8: 14 bits each)."""
    if data[12:16] == b"VP8X":
        for place, value in ((24, width), (27, height)):
            data = data[:place] + min(max(value - 1, 0), 2**24 - 1).to_bytes(3, "little") + data[place + 3 :]
    frame = data.find(b"\x9d\x01\x2a")
    if frame > 0:
        return _put(data, frame + 3, "<HH", min(width, 16383), min(height, 16383))
    lossless = data.find(b"VP8L")
    if lossless > 0:
        (packed,) = struct.unpack_from("<I", data, lossless + 9)
        size = (min(max(width - 1, 0), 16383)) | (min(max(height - 1, 0), 16383)) << 14
        return _put(data, lossless + 9, "<I", packed >> 28 << 28 | size)
    return data


def _avif(data: bytes, width: int, height: int) -> bytes:
    """In the property ispe of an ISO base media file."""
    return _put(data, data.index(b"ispe") + 8, ">II", width, height)


_LIARS: dict[bytes, Callable[[bytes, int, int], bytes]] = {
    rb"\x89PNG": _png,
    rb"\xff\xd8": _jpeg,
    rb"GIF8": _gif,
    rb"BM": _bmp,
    rb"II\*": _tiff,
    rb"RIFF....WEBP": _webp,
    rb"....ftypavif": _avif,
}
