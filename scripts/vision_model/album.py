"""Pictures for training, each drawn once and looked at a few times: drawing takes as long as learning does.

Knows how many are new. Everything comes from one seeded generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from torch import Tensor

from scripts.vision_model import seeing
from scripts.vision_model.pictures import Picture
from scripts.vision_model.scenes import Scene
from scripts.vision_model.vit import Shape

_KEPT = 6000
_NEW = 0.2


@dataclass(frozen=True)
class Sight:
    """A picture as the eye takes it, and what it shows."""

    scene: Scene
    pixels: Tensor
    labels: Tensor


class Album:
    """The last few thousand that `draw` drew; one in five that are asked for is new and go in, for the oldest."""

    def __init__(self, shape: Shape, seed: int, draw: Callable[[Random], Picture]) -> None:
        self.shape = shape
        self.draw = draw
        self.random = Random(seed)
        self.sights: list[Sight] = []
        self.drawn = 0

    def take(self) -> Sight:
        if len(self.sights) > 200 and self.random.random() > _NEW:
            return self.random.choice(self.sights)
        picture = self.draw(self.random)
        sight = Sight(picture.scene, seeing.pixels(picture.image, self.shape.image), seeing.labels(picture, self.shape))
        if len(self.sights) < _KEPT:
            self.sights.append(sight)
        else:
            self.sights[self.drawn % _KEPT] = sight
        self.drawn += 1
        return sight
