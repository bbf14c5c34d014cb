"""Pictures for training, each drawn once and looked at a few times: drawing takes as long as learning does.

Knows how many are new. Everything comes from one seeded generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from scripts.vision_model import seeing
from scripts.vision_model.pictures import Picture
from scripts.vision_model.scenes import Scene
from scripts.vision_model.table import table
from scripts.vision_model.vit import Encoder, Shape

_KEPT = 8000
_NEW = 0.2


@dataclass(frozen=True)
class Sight:
    """What a picture shows, and the picture as the eye takes it, or as an eye that has learnt gives it."""

    scene: Scene
    seen: Tensor
    labels: Tensor
    table: Tensor


class Album:
    """The last few thousand that `draw` drew; one in five that are asked for is new and goes in, for the oldest.

    With an `eye`, which then must not learn, it keeps what that sees: each picture goes through it once.
    """

    def __init__(self, shape: Shape, seed: int, draw: Callable[[Random], Picture], eye: Encoder | None = None) -> None:
        self.shape = shape
        self.draw = draw
        self.eye = eye
        self.random = Random(seed)
        self.sights: list[Sight] = []
        self.drawn = 0

    def take(self) -> Sight:
        if len(self.sights) > 200 and self.random.random() > _NEW:
            return self.random.choice(self.sights)
        sight = self._look(self.draw(self.random))
        if len(self.sights) < _KEPT:
            self.sights.append(sight)
        else:
            self.sights[self.drawn % _KEPT] = sight
        self.drawn += 1
        return sight

    @torch.no_grad()
    def _look(self, picture: Picture) -> Sight:
        seen = seeing.pixels(picture.image, self.shape.image)
        if self.eye is not None:
            seen = self.eye(seen[None])[0]
        return Sight(picture.scene, seen, seeing.labels(picture, self.shape), torch.tensor(table(picture.scene)))
