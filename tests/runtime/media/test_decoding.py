"""Files of pictures, as phones and browsers write them, into pixels: upright, over white, within bounds."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from runtime.media import decoding
from runtime.media.decoding import decode
from runtime.media.errors import MediaTooLarge, MediaUnreadable
from support.pictures import drawn, written

WIDTH, HEIGHT = 96, 64
INSIDE, EDGE, PAPER = (30, 32), (2, 32), (90, 5)
"""Places in the drawing: in its disc, in the bar at its left, and where there is nothing."""


def pixel(data: bytes, place: tuple[int, int]) -> tuple[int, int, int]:
    found = decode("f", data)
    at = 3 * (place[1] * found.width + place[0])
    red, green, blue = found.data[at : at + 3]
    return red, green, blue


def is_near(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(abs(x - y) < 24 for x, y in zip(a, b, strict=True))


def clear(image: Image.Image) -> Image.Image:
    """The same, with nothing where it was white."""
    found = image.convert("RGBA")
    found.putdata([(r, g, b, 0 if (r, g, b) == (255, 255, 255) else 255) for r, g, b, _a in found.get_flattened_data()])
    return found


FORMS: list[tuple[str, Callable[[], bytes]]] = [
    ("png", lambda: written(drawn())),
    ("jpeg", lambda: written(drawn(), "JPEG", quality=95)),
    ("progressive jpeg", lambda: written(drawn(), "JPEG", quality=95, progressive=True)),
    ("cmyk jpeg", lambda: written(drawn().convert("CMYK"), "JPEG", quality=95)),
    ("webp", lambda: written(drawn(), "WEBP", quality=95)),
    ("lossless webp", lambda: written(clear(drawn()), "WEBP", lossless=True)),
    ("avif", lambda: written(drawn(), "AVIF", quality=95)),
    ("gif", lambda: written(drawn(), "GIF")),
    ("animated gif", lambda: written(drawn(), "GIF", save_all=True, append_images=[drawn("blue")], duration=100)),
    ("animated webp", lambda: written(drawn(), "WEBP", save_all=True, append_images=[drawn("blue")], lossless=True)),
    ("bmp", lambda: written(drawn(), "BMP")),
    ("tiff", lambda: written(drawn(), "TIFF")),
    ("deflated tiff", lambda: written(drawn(), "TIFF", compression="tiff_adobe_deflate")),
    ("palette png", lambda: written(drawn().convert("P"))),
    ("transparent png", lambda: written(clear(drawn()))),
    ("transparent palette", lambda: written(clear(drawn()).quantize(), "PNG")),
]


@pytest.mark.parametrize(("name", "file"), FORMS, ids=[name for name, _file in FORMS])
def test_what_clients_send_is_read(name: str, file: Callable[[], bytes]) -> None:  # noqa: ARG001
    data = file()
    found = decode("f", data)
    assert (found.width, found.height, len(found.data)) == (WIDTH, HEIGHT, 3 * WIDTH * HEIGHT)
    assert is_near(pixel(data, INSIDE), (255, 0, 0))
    assert is_near(pixel(data, EDGE), (0, 0, 0))
    assert is_near(pixel(data, PAPER), (255, 255, 255))


@pytest.mark.parametrize(("mode", "level"), [("I;16", 65535), ("L", 255), ("1", 1)])
def test_grey_of_any_depth_is_grey(mode: str, level: int) -> None:
    image = Image.new(mode, (4, 4), 0)
    image.putpixel((3, 3), level)
    image.putpixel((2, 2), level // 2)
    data = written(image)
    assert pixel(data, (0, 0)) == (0, 0, 0)
    assert pixel(data, (3, 3)) == (255, 255, 255)
    if level > 1:
        assert is_near(pixel(data, (2, 2)), (127, 127, 127))


@pytest.mark.parametrize(
    ("orientation", "edge"), [(1, (2, 32)), (3, (93, 32)), (6, (32, 2)), (8, (32, 93)), (2, (93, 32)), (5, (32, 2))]
)
def test_a_picture_stands_as_its_camera_was_held(orientation: int, edge: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for form in ("JPEG", "WEBP", "PNG"):
        data = written(drawn(), form, exif=exif)
        assert is_near(pixel(data, edge), (0, 0, 0)), form


def test_pictures_are_told_apart_by_their_files() -> None:
    assert decode("f", written(drawn())).digest == decode("f", written(drawn())).digest
    assert decode("f", written(drawn())).digest != decode("f", written(drawn("blue"))).digest


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_what_is_larger_than_anything_looks_at_is_made_smaller(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_ENOUGH", WIDTH * HEIGHT)
    exif = Image.Exif()
    exif[0x0112] = 6
    large = drawn().resize((4 * WIDTH, 4 * HEIGHT))
    for image in (large, large.convert("P") if form == "PNG" else large, clear(large) if form == "PNG" else large):
        data = written(image, form, exif=exif)
        found = decode("f", data)
        assert (found.width, found.height) == (HEIGHT, WIDTH)
        at = 3 * (2 * found.width + 32)
        assert is_near(tuple(found.data[at : at + 3]), (0, 0, 0)), "the bar is on top"


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims to be large, and has nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_what_claims_to_be_too_large_is_refused_before_memory_is_taken() -> None:
    for size in ((60_000, 60_000), (2**31 - 1, 1), (40_000_001, 1)):
        with pytest.raises(MediaTooLarge) as caught:
            decode("messages[0].content[1]", bomb(*size))
        assert caught.value.field == "messages[0].content[1]"


def lying_jpeg(side: int, scans: int = 1, **options: bool) -> bytes:
    """A JPEG that claims to be so large, in so many scans."""
    data = bytearray(written(drawn(), "JPEG", **options))
    frame = next(at for at in range(len(data)) if data[at] == 0xFF and data[at + 1] in (0xC0, 0xC2))
    struct.pack_into(">HH", data, frame + 5, side, side)
    if scans > 1:
        data[data.index(b"\xff\xda") + 4] = 1  # the first has one colour of the three
    return bytes(data)


def test_only_what_is_read_smaller_at_once_may_be_larger() -> None:
    for data in (lying_jpeg(7000, progressive=True), lying_jpeg(7000, scans=3), lying_jpeg(7100)):
        with pytest.raises(MediaTooLarge):
            decode("f", data)
    assert decode("f", lying_jpeg(7000)).width < 7000, "what is missing is grey"


def test_a_webp_may_have_fewer_pixels() -> None:
    data = bytearray(written(Image.new("RGB", (16, 16)), "WEBP", lossless=True))
    size = struct.unpack_from("<I", data, 21)[0] >> 28 << 28 | 3999 | 3000 << 14
    struct.pack_into("<I", data, 21, size)
    with pytest.raises(MediaTooLarge, match="12,000,000"):
        decode("f", bytes(data))


def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MOST_SECONDS", -1.0)
    for form in ("JPEG", "PNG", "WEBP"):
        with pytest.raises(MediaUnreadable, match="longer than"):
            decode("f", written(drawn(), form))


def test_what_is_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MOST_BYTES", 100)
    with pytest.raises(MediaTooLarge):
        decode("f", written(drawn()))


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7",
     b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", written(drawn())[:200], written(drawn(), "JPEG")[:300],
     bomb(10, 10), b"RIFF\x24\0\0\0WAVEfmt "],
)  # fmt: skip
def test_what_is_no_picture_is_told_what_to_send(data: bytes) -> None:
    with pytest.raises(MediaUnreadable, match="Send JPEG, PNG, WebP"):
        decode("f", data)
