"""Pictures, drawn for tests, as the files and bodies that clients send."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image, ImageDraw


def drawn(colour: str = "red", size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A disc on white, left of the middle; its left half is darker, so that it can lie on its side."""
    image = Image.new("RGB", size, "white")
    brush = ImageDraw.Draw(image)
    width, height = size
    brush.ellipse((width // 8, height // 8, width // 2, height * 7 // 8), fill=colour)
    brush.rectangle((0, 0, width // 8, height), fill="black")
    return image


def written(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """The file of `image`."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(colour: str = "red") -> bytes:
    return written(drawn(colour))


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_uri(data: bytes, type_: str = "image/png") -> str:
    return f"data:{type_};base64,{base64_of(data)}"
