"""From pixels to what the encoder takes, exactly as libmtmd does it, and what each patch shows.

libmtmd fits a picture into a square of fixed size by Pillow's own bicubic filter and fills up the rest
(mtmd-image.cpp, mtmd_image_preprocessor_fixed_size with PAD_CEIL). Knows nothing of drawing or words.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from scripts.vision_model.pictures import PAPER, Picture
from scripts.vision_model.scenes import COLOURS
from scripts.vision_model.vit import Shape

MEAN = STD = 0.5
NOTHING = -100
"""The colour of a patch that shows nothing: PyTorch's losses leave it out."""


def pixels(image: Image.Image, side: int) -> Tensor:
    """(3, side, side), from -1 to 1."""
    scale = min(np.float32(side) / np.float32(image.width), np.float32(side) / np.float32(image.height))
    width, height = min(side, ceil(image.width * scale)), min(side, ceil(image.height * scale))
    fitted = Image.new("RGB", (side, side), PAPER)
    fitted.paste(image.resize((width, height), Image.Resampling.BICUBIC), _offset(width, height, side))
    values = np.asarray(fitted, np.float32) / 255
    return torch.from_numpy((values - MEAN) / STD).permute(2, 0, 1)


def labels(picture: Picture, shape: Shape) -> Tensor:
    """(3, patches): the kind that a patch shows (0: none, else 1 + kind), its colour, whether a middle lies in it."""
    side = shape.image
    scale = min(side / picture.image.width, side / picture.image.height)
    width, height = picture.image.width * scale, picture.image.height * scale
    left, top = (side - width) / 2, (side - height) / 2
    rows = side // shape.patch
    found = torch.zeros(3, rows, rows, dtype=torch.long)
    found[1] = NOTHING
    middles = (torch.arange(rows) + 0.5) * shape.patch
    for thing in picture.things:
        x, y = left + thing.x * width, top + thing.y * height
        reach = max(thing.rx * width, 0.71 * shape.patch)
        inside = (middles[None, :] - x) ** 2 + (middles[:, None] - y) ** 2 < reach**2
        found[0][inside] = 1 + thing.kind
        found[1][inside] = COLOURS.index(thing.colour)
        found[2, min(rows - 1, int(y / shape.patch)), min(rows - 1, int(x / shape.patch))] = 1
    return found.flatten(1)


def _offset(width: int, height: int, side: int) -> tuple[int, int]:
    return (side - width) // 2, (side - height) // 2
