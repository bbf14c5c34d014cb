"""Draws scenes with Pillow: any size, place, tilt and background, at times blurred or through JPEG.

Knows colours and pixels. Everything comes from the generator that it is given: the same seed draws the same picture.
Digits are drawn with strokes, or in the one font that Pillow brings.
"""

from __future__ import annotations

import colorsys
import io
from dataclasses import dataclass
from functools import cache
from math import cos, radians, sin
from random import Random

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from scripts.vision_model import outlines
from scripts.vision_model.outlines import Point
from scripts.vision_model.scenes import KINDS, SHAPES, Scene

Rgb = tuple[int, int, int]
PAPER = (122, 116, 104)
"""What libmtmd fills up a picture with that is not square (clip.cpp, PROJECTOR_TYPE_MLP)."""
_PURE: dict[str, tuple[Rgb, ...]] = {
    "red": ((255, 0, 0), (220, 20, 20), (229, 57, 53), (204, 0, 0)),
    "orange": ((255, 165, 0), (255, 140, 0), (251, 140, 0), (255, 120, 0)),
    "yellow": ((255, 255, 0), (255, 221, 0), (253, 216, 53), (240, 220, 40)),
    "green": ((0, 128, 0), (0, 255, 0), (67, 160, 71), (0, 170, 60)),
    "blue": ((0, 0, 255), (30, 100, 240), (30, 136, 229), (0, 60, 180)),
    "purple": ((128, 0, 128), (142, 36, 170), (150, 60, 220), (110, 20, 160)),
    "black": ((0, 0, 0), (0, 0, 0), (20, 20, 20), (35, 35, 35)),
}
_HSV = {  # the ranges of hue (degrees), saturation and value in which a name is beyond doubt
    "red": ((350, 367), (0.78, 1), (0.65, 1)),
    "orange": ((24, 38), (0.85, 1), (0.92, 1)),
    "yellow": ((50, 62), (0.7, 1), (0.85, 1)),
    "green": ((95, 150), (0.5, 1), (0.35, 0.95)),
    "blue": ((208, 242), (0.65, 1), (0.55, 1)),
    "purple": ((272, 302), (0.5, 1), (0.4, 0.85)),
    "black": ((0, 360), (0, 0.3), (0, 0.14)),
}
_REACH = {1: (0.27, 0.46), 2: (0.19, 0.3), 3: (0.17, 0.24), 4: (0.16, 0.22)}
"""By number of things: the smallest and largest radius, of the shorter side (and never under 0.13 of the longer)."""


@dataclass(frozen=True)
class Thing:
    """Where something was drawn, in parts of the picture's width and height."""

    kind: int
    colour: str
    x: float
    y: float
    rx: float
    ry: float


@dataclass(frozen=True)
class Picture:
    """Pixels (RGB), what they show, and where."""

    image: Image.Image
    scene: Scene
    things: tuple[Thing, ...]


def draw(scene: Scene, random: Random, size: tuple[int, int] | None = None) -> Picture:
    """A picture of the scene, of `size` (width, height) or of any."""
    width, height = size or _size(random)
    ground = _ground(random, [colour for _, colour in scene.objects()])
    image, things = _drawn(scene, random, ground, _places(random, len(scene.objects()), width, height), (width, height))
    return Picture(_worn(image, random), scene, things)


def draw_large(scene: Scene, random: Random, side: int) -> Picture:
    """One thing on white that fills most of a square: the first that is learnt."""
    r = random.uniform(0.36, 0.47) * side
    x, y = random.uniform(r, side - r), random.uniform(r, side - r)
    image, things = _drawn(scene, random, (255, 255, 255), [(x, y, r)], (side, side))
    return Picture(image, scene, things)


def _drawn(
    scene: Scene, random: Random, ground: Rgb, places: list[tuple[float, float, float]], size: tuple[int, int]
) -> tuple[Image.Image, tuple[Thing, ...]]:
    width, height = size
    scale = 2 if max(size) < 400 else 1  # drawn twice as large, so that edges come out smooth
    image = _background(random, ground, width * scale, height * scale)
    pen = ImageDraw.Draw(image)
    things = []
    fills: dict[str, Rgb] = {}
    for (kind, colour), (x, y, r) in zip(scene.objects(), places, strict=True):
        fill = fills.setdefault(colour, _colour(random, colour, ground))
        _thing(pen, random, kind, fill, x * scale, y * scale, r * scale)
        things.append(Thing(kind, colour, x / width, y / height, r / width, r / height))
    if scale > 1:
        image = image.resize(size, Image.Resampling.BOX)
    return image, tuple(things)


def _size(random: Random) -> tuple[int, int]:
    ranges = ((64, 100), (84, 200), (200, 480))
    longer = random.randrange(*random.choices(ranges, (30, 60, 10))[0])
    shorter = round(longer * random.choice((1, 1, random.uniform(0.5, 1), random.uniform(0.7, 1))))
    return (longer, shorter) if random.random() < 0.5 else (shorter, longer)


def _places(random: Random, count: int, width: int, height: int) -> list[tuple[float, float, float]]:
    """Middles and radii in pixels, apart from each other and inside the picture."""
    if not count:
        return []
    least, most = _REACH[count]
    shorter, longer = min(width, height), max(width, height)
    base = random.uniform(least, most) * shorter
    while True:
        found: list[tuple[float, float, float]] = []
        for _ in range(60):
            r = min(max(base * random.uniform(0.85, 1.15), 0.13 * longer), 0.48 * shorter)
            x, y = random.uniform(r, width - r), random.uniform(r, height - r)
            if all((x - u) ** 2 + (y - v) ** 2 > (1.08 * (r + s)) ** 2 for u, v, s in found):
                found.append((x, y, r))
            if len(found) == count:
                return found
        base *= 0.93


def _thing(pen: ImageDraw.ImageDraw, random: Random, kind: int, fill: Rgb, x: float, y: float, r: float) -> None:
    name = KINDS[kind]
    if kind >= len(SHAPES):
        _digit(pen, random, kind - len(SHAPES), fill, x, y, r)
        return
    tilt = random.choice((0.0, random.uniform(-15, 15)))  # a square on its corner is a diamond
    stretch = random.uniform(0.9, 1.0)
    points = [(px * stretch, py) for px, py in outlines.shape(name, random)]
    corners = _placed(points, tilt, x, y, r)
    pen.polygon(corners, fill)


def _digit(pen: ImageDraw.ImageDraw, random: Random, digit: int, fill: Rgb, x: float, y: float, r: float) -> None:
    if random.random() < 0.5:
        bold = random.choice((0, 0, round(r * 0.05), round(r * 0.1)))
        pen.text((x, y), str(digit), fill, _font(max(10, round(r * 2.4))), "mm", stroke_width=bold, stroke_fill=fill)
        return
    tilt, slant = random.uniform(-6, 6), random.uniform(-0.2, 0.05)
    stretch = random.uniform(0.75, 1.15)
    width = max(2, round(r * random.uniform(0.15, 0.4)))
    shrunk = r - width / 2
    for line in outlines.strokes(digit):
        points = _placed([(px * stretch + slant * py, py) for px, py in line], tilt, x, y, shrunk)
        pen.line(points, fill, width, "curve")
        for end in (points[0], points[-1]):
            pen.circle(end, width / 2, fill)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _placed(points: list[Point], tilt: float, x: float, y: float, r: float) -> list[Point]:
    c, s = cos(radians(tilt)) * r, sin(radians(tilt)) * r
    return [(x + px * c - py * s, y + px * s + py * c) for px, py in points]


def _colour(random: Random, name: str, ground: Rgb) -> Rgb:
    """A tone of that name that stands out from the ground."""
    for _ in range(20):
        tone = random.choice(_PURE[name]) if random.random() < 0.5 else _tone(random, name)
        if _apart(tone, ground):
            return tone
    return _PURE[name][0]


def _tone(random: Random, name: str) -> Rgb:
    hue, saturation, value = (random.uniform(*limits) for limits in _HSV[name])
    r, g, b = colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value)
    return round(r * 255), round(g * 255), round(b * 255)


def _ground(random: Random, colours: list[str]) -> Rgb:
    """Mostly white or nearly so, at times pale or dark, but none that hides what is drawn."""
    while True:
        chance = random.random()
        if chance < 0.6:
            tone = (255, 255, 255)
        elif chance < 0.85:
            tone = (random.randrange(205, 256), random.randrange(205, 256), random.randrange(205, 256))
        else:
            tone = _tone(random, "black")
        if all(_apart(_PURE[colour][0], tone) for colour in colours):
            return tone


def _apart(one: Rgb, other: Rgb) -> bool:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) > 150


def _background(random: Random, ground: Rgb, width: int, height: int) -> Image.Image:
    if random.random() < 0.85:
        return Image.new("RGB", (width, height), ground)
    other = tuple(min(255, max(0, level + random.randrange(-20, 21))) for level in ground)
    ramp = Image.linear_gradient("L").rotate(random.choice((0, 90, 180, 270))).resize((width, height))
    return Image.composite(Image.new("RGB", (width, height), other), Image.new("RGB", (width, height), ground), ramp)


def _worn(image: Image.Image, random: Random) -> Image.Image:
    """As cameras and browsers leave pictures: a little soft, noisy, bright or dark, squeezed by JPEG."""
    chance = random.random()
    if chance < 0.1:
        image = image.filter(ImageFilter.GaussianBlur(max(image.size) / 84 * random.uniform(0.3, 0.8)))
    elif chance < 0.2:
        noise = Image.frombytes("L", image.size, random.randbytes(image.width * image.height)).convert("RGB")
        image = Image.blend(image, noise, random.uniform(0.03, 0.12))
    if random.random() < 0.2:
        kept = io.BytesIO()
        image.save(kept, "JPEG", quality=random.randrange(40, 96))
        image = Image.open(kept).convert("RGB")
    return image
