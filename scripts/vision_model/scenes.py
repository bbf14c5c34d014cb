"""What a picture shows, before it is drawn: up to four shapes in at most two groups, one digit, or nothing.

Knows the words for everything. Knows no pixels and no questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

SHAPES = ("circle", "square", "triangle", "star")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "black")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KINDS = (*SHAPES, *DIGITS)
"""Everything that can be drawn; a kind is an index into these."""
MOST = 4


@dataclass(frozen=True)
class Group:
    """So many of the same."""

    count: int
    shape: str
    colour: str

    def words(self) -> str:
        """`a red circle`, `two blue squares`."""
        if self.count == 1:
            return f"{'an' if self.colour[0] in 'aeiou' else 'a'} {self.colour} {self.shape}"
        return f"{DIGITS[self.count]} {self.colour} {self.shape}s"


@dataclass(frozen=True)
class Scene:
    """Groups in the order in which they are named, or a digit and its colour, or neither."""

    groups: tuple[Group, ...] = ()
    digit: int | None = None
    colour: str = ""

    @property
    def count(self) -> int:
        return sum(group.count for group in self.groups)

    def objects(self) -> list[tuple[int, str]]:
        """Kind and colour of each thing to draw."""
        if self.digit is not None:
            return [(len(SHAPES) + self.digit, self.colour)]
        return [(SHAPES.index(group.shape), group.colour) for group in self.groups for _ in range(group.count)]


def alone(random: Random) -> Scene:
    """One shape or digit."""
    if random.random() < 0.65:
        return Scene(digit=random.randrange(10), colour=random.choice(COLOURS))
    return Scene((Group(1, random.choice(SHAPES), random.choice(COLOURS)),))


def scene(random: Random) -> Scene:
    """One at random; about a third are digits."""
    chance = random.random()
    if chance < 0.02:
        return Scene()
    if chance < 0.37:
        return Scene(digit=random.randrange(10), colour=random.choice(COLOURS))
    if chance < 0.75:
        count = random.choices((1, 2, 3, 4), (40, 20, 20, 20))[0]
        return Scene((Group(count, random.choice(SHAPES), random.choice(COLOURS)),))
    total = random.choices((2, 3, 4), (40, 30, 30))[0]
    first = random.randrange(1, total)
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < 2:
        pairs.add((random.randrange(len(SHAPES)), random.randrange(len(COLOURS))))
    counts = (first, total - first)
    return Scene(
        tuple(
            Group(count, SHAPES[shape], COLOURS[colour])
            for count, (shape, colour) in zip(counts, sorted(pairs), strict=True)
        )
    )
