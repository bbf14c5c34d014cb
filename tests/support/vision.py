"""The vision demo, and pictures that it was taught to see."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import cos, pi, sin
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model
from runtime.engine.llama.projector import Projector
from runtime.engine.settings import ContextSettings, LoadSettings, ProjectorSettings
from runtime.engine.weights import Weights
from support.places import ROOT

ON_ITS_SIDE = Image.Exif()
"""What phones that are held upright write: the top of these pixels is the right side of the picture."""
ON_ITS_SIDE[0x0112] = 6

VISION_GGUF = ROOT / "bundler" / "demo" / "vision" / "vision.gguf"
VISION_PROJECTOR = VISION_GGUF.with_name("mmproj-vision.gguf")


def open_vision() -> LlamaBackend:
    """llama.cpp with the vision demo and its projector."""
    model = load_model(Weights(VISION_GGUF), LoadSettings(), threading.Event())
    projector = Projector(model, Weights(VISION_PROJECTOR), ProjectorSettings(), 1, None)
    return LlamaBackend(model, ContextSettings(1024, 4, 128, 64, 1), projector=projector)


def shapes(name: str, colour: str, count: int = 1, size: tuple[int, int] = (240, 240)) -> Image.Image:
    """So many of a shape on white, two in a row."""
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    columns = min(count, 2)
    width, height = size[0] / columns, size[1] / -(-count // columns)
    for i in range(count):
        x, y = (i % columns + 0.5) * width, (i // columns + 0.5) * height
        _SHAPES[name](pen, x, y, 0.36 * min(width, height), colour)
    return image


def digit(value: int, colour: str, size: tuple[int, int] = (240, 240)) -> Image.Image:
    """A digit on white, in the middle."""
    image = Image.new("RGB", size, "white")
    font = ImageFont.load_default(0.75 * min(size))
    ImageDraw.Draw(image).text((size[0] / 2, size[1] / 2), str(value), colour, font, "mm", stroke_width=min(size) // 50)
    return image


def saved(image: Image.Image, path: Path) -> Path:
    """In the format that the path's ending names."""
    image.save(path)
    return path


def _circle(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: str) -> None:
    pen.ellipse((x - r, y - r, x + r, y + r), colour)


def _square(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: str) -> None:
    pen.rectangle((x - 0.85 * r, y - 0.85 * r, x + 0.85 * r, y + 0.85 * r), colour)


def _triangle(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: str) -> None:
    pen.polygon([(x, y - r), (x + r, y + 0.8 * r), (x - r, y + 0.8 * r)], colour)


def _star(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: str) -> None:
    radii = [r if corner % 2 == 0 else 0.42 * r for corner in range(10)]
    pen.polygon([(x + s * sin(i * pi / 5), y - s * cos(i * pi / 5)) for i, s in enumerate(radii)], colour)


_SHAPES: dict[str, Callable[[ImageDraw.ImageDraw, float, float, float, str], None]] = {
    "circle": _circle, "square": _square, "triangle": _triangle, "star": _star,
}  # fmt: skip
