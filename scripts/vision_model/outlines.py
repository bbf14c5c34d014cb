"""The forms of the shapes and digits, as polygons and strokes around the origin.

Knows geometry only. One unit is the radius of the thing; y points down.
"""

from __future__ import annotations

from math import cos, pi, sin
from random import Random

Point = tuple[float, float]
Line = list[Point]


def shape(name: str, random: Random) -> Line:
    """A closed polygon, as it stands upright."""
    return _SHAPES[name](random)


def strokes(digit: int) -> list[Line]:
    """The lines a pen draws, each a chain of points; a digit is about 1.1 wide and 2 high."""
    return _DIGITS[digit]


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float, steps: int = 24) -> Line:
    """Along an ellipse, in degrees, clockwise from the right."""
    angles = [(start + (end - start) * step / steps) * pi / 180 for step in range(steps + 1)]
    return [(x + rx * cos(angle), y + ry * sin(angle)) for angle in angles]


def _circle(_random: Random) -> Line:
    return _arc(0, 0, 1, 1, 0, 360, 48)


def _square(_random: Random) -> Line:
    return [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]


def _triangle(random: Random) -> Line:
    top = random.choice((0.0, 0.0, random.uniform(-0.5, 0.5)))
    return [(top, -0.95), (0.95, 0.75), (-0.95, 0.75)]


def _star(random: Random) -> Line:
    inner = random.uniform(0.36, 0.5)
    radii = [1.0 if corner % 2 == 0 else inner for corner in range(10)]
    return [(r * sin(corner * pi / 5), -r * cos(corner * pi / 5)) for corner, r in enumerate(radii)]


_SHAPES = {"circle": _circle, "square": _square, "triangle": _triangle, "star": _star}
_DIGITS = [
    [_arc(0, 0, 0.55, 0.95, 0, 360, 36)],
    [[(-0.35, -0.6), (0.05, -0.95), (0.05, 0.95)]],
    [[*_arc(0, -0.45, 0.52, 0.5, 190, 385), (-0.55, 0.95), (0.6, 0.95)]],
    [[*_arc(-0.05, -0.48, 0.52, 0.47, 205, 450), *_arc(-0.05, 0.46, 0.58, 0.49, 270, 510)]],
    [[(0.25, 0.95), (0.25, -0.95), (-0.6, 0.4), (0.6, 0.4)]],
    [[(0.5, -0.95), (-0.42, -0.95), (-0.5, -0.1), *_arc(-0.05, 0.33, 0.57, 0.6, 228, 500)]],
    [[*_arc(0.15, 0.0, 0.7, 0.95, 285, 180, 16), *_arc(0, 0.38, 0.55, 0.57, 180, 540, 30)]],
    [[(-0.55, -0.95), (0.55, -0.95), (-0.15, 0.95)]],
    [_arc(0, -0.48, 0.46, 0.46, 0, 360, 30), _arc(0, 0.46, 0.54, 0.5, 0, 360, 30)],
    [[*_arc(0, -0.38, 0.55, 0.57, 360, 0, 30), *_arc(-0.15, 0.0, 0.7, 0.95, 0, 105, 16)]],
]
