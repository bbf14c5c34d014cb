"""The questions that both measures ask: about pictures that were never trained, always the same ones.

Knows what a right answer is, word for word. Knows no model: measure.py asks in PyTorch, check.py through libmtmd.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from scripts.demo_model.mixture import render
from scripts.vision_model import pictures, questions
from scripts.vision_model.pictures import Picture
from scripts.vision_model.questions import Asked
from scripts.vision_model.scenes import scene
from scripts.vision_model.talks import MARKER

_SEED = 77
COUNT = 500


@dataclass(frozen=True)
class Case:
    """A picture, what is asked about it, and the prompt with the picture's MARKER."""

    picture: Picture
    asked: Asked
    prompt: str


class Tally:
    """Right answers by kind of question."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = defaultdict(int)
        self.right: dict[str, int] = defaultdict(int)

    def add(self, case: Case, answer: str) -> bool:
        good = answer.strip() == case.asked.answer
        self.asked[case.asked.kind] += 1
        self.right[case.asked.kind] += good
        return good

    @property
    def share(self) -> float:
        return sum(self.right.values()) / sum(self.asked.values())

    def print(self) -> None:
        for kind, count in sorted(self.asked.items()):
            print(f"{kind:16}{self.right[kind]:5} of {count:5}  {self.right[kind] / count:.1%}")
        print(f"{'all':16}{sum(self.right.values()):5} of {sum(self.asked.values()):5}  {self.share:.1%}", flush=True)


def cases(count: int = COUNT) -> Iterator[Case]:
    """Always the same: drawn from a seed of their own."""
    random = Random(_SEED)
    for _ in range(count):
        picture = pictures.draw(scene(random), random)
        asked = questions.asked(picture.scene, random)
        message = {"role": "user", "content": MARKER + asked.question}
        yield Case(picture, asked, render([message], add_generation_prompt=True))
