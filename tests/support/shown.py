"""Prompts with pictures that are asked of us and of llama-server, and what that has answered (`tests/data/shown.json`),
as far as no other token was nearly as likely; and the beginnings of the vectors of their last tokens
(`tests/data/shown.vectors.json`).

`scripts/compare LLAMA_SERVER --record` asks it anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from support.pictures import drawn, written
from support.places import DATA

TOKENS = 12
Picture = tuple[str, tuple[int, int]]
PROMPTS: Mapping[str, tuple[str | Picture, ...]] = {
    "wide": ("Look: ", ("red", (96, 64)), " What is it?"),
    "tall": ("Look: ", ("blue", (40, 120)), " What is it?"),
    "square": (("green", (64, 64)), " Once upon a time"),
    "two": ("Look: ", ("red", (96, 64)), " and ", ("orange", (32, 32)), " Which is larger?"),
}
"""Texts and pictures: a colour and a size."""

RECORDED = DATA / "shown.json"
RECORDED_VECTORS = DATA / "shown.vectors.json"


def file_of(picture: Picture) -> bytes:
    colour, size = picture
    return written(drawn(colour, size))


def recorded() -> dict[str, dict[str, str]]:
    """By family and prompt."""
    said: dict[str, dict[str, str]] = json.loads(RECORDED.read_text("utf-8"))
    return said


def recorded_vectors() -> dict[str, dict[str, list[float]]]:
    """The same: the first numbers of vectors of length 1."""
    vectors: dict[str, dict[str, list[float]]] = json.loads(RECORDED_VECTORS.read_text("utf-8"))
    return vectors
