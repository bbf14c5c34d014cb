"""What may be asked about a scene, and the right answers: description, number, colour, shape, digit, yes or no.

Knows wordings. Knows no pixels and no tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from scripts.vision_model.scenes import COLOURS, DIGITS, SHAPES, Scene

UNSEEN = "I see no picture. Show me one with shapes or a digit."
UNABLE = "I am only a toy that sees shapes, colours, numbers up to four and digits."
HELLO = "Hello! I am loaf's vision demo. Show me a picture of shapes or a digit."
GREETINGS = (
    "Hello!", "Hello", "Hi", "Hi!", "Hey", "Who are you?", "What are you?", "What can you do?", "Good morning!",
)  # fmt: skip
STRANGE = (
    "What is the capital of France?", "Write a poem.", "Tell me a story.", "Who was the first man on the moon?",
    "How old are you?", "What is the weather in Paris?", "Translate this into German.", "What is 2 + 2?",
)  # fmt: skip
DESCRIBE = (
    "What is in this picture?", "What is in the picture?", "What is in this image?", "What do you see?",
    "What can you see?", "Describe this picture.", "Describe the picture.", "Describe this image.",
    "Describe the image.", "What is this?", "What's this?", "What is shown here?", "What does this picture show?",
    "What's in this picture?", "What's in this image?", "What is in it?", "",
)  # fmt: skip
DIGIT = (
    "Which digit is this?", "What digit is this?", "Which digit do you see?", "Which digit?", "What number is this?",
    "Which number is this?", "Which number do you see?", "Which digit is in this picture?", "Which digit is it?",
    "Read the digit.", "What digit is in this image?",
)  # fmt: skip
COUNT = (
    "How many {} are there?", "How many {} do you see?", "How many {} are in this picture?", "How many {}?",
    "Count the {}.", "How many {} can you see?", "How many {} are in the picture?", "How many {} does it show?",
)  # fmt: skip
COLOUR = (
    "What {} is the {}?", "Which {} is the {}?", "What {} are the {}s?", "Which {} does the {} have?",
    "What is the {} of the {}?", "Tell me the {} of the {}.",
)  # fmt: skip
COLOUR_OF_IT = ("What {} is it?", "Which {} is it?", "What {} is this?", "Which {}?", "What is its {}?", "The {}?")
SHAPE = (
    "Which shape is this?", "What shape is it?", "Which shape is it?", "What shape is this?", "Which shape do you see?",
    "Which shape?", "What shape is in this picture?", "Name the shape.",
)  # fmt: skip
WHICH = ("Which shape is {}?", "What is {}?", "Which one is {}?", "What shape is {}?")
THERE = ("Is there a {}?", "Do you see a {}?", "Is there a {} in this picture?", "Can you see a {}?", "Any {}s?")


@dataclass(frozen=True)
class Asked:
    """A question in one of its wordings, the right answer, and its kind (for figures by kind)."""

    kind: str
    question: str
    answer: str


def asked(scene: Scene, random: Random) -> Asked:
    """One question at random among those that fit the scene."""
    if scene.digit is not None:
        makers: tuple[Callable[[Scene, Random], Asked | None], ...] = (_describe, _digit, _digit, _colour)
    elif scene.count == 1:
        makers = (_describe, _shape, _shape, _colour, _count, _there, _digit)
    else:
        makers = (_describe, _describe, _count, _count, _count, _colour, _which, _shape, _there)
    while True:
        weights = [0.15 if maker is _digit and scene.digit is None else 1.0 for maker in makers]
        made = random.choices(makers, weights)[0](scene, random)
        if made is not None:
            return made


def unpictured(random: Random) -> Asked:
    """What is asked where there is no picture."""
    chance = random.random()
    if chance < 0.35:
        return Asked("text", random.choice(GREETINGS), HELLO)
    if chance < 0.5:
        return Asked("text", random.choice(STRANGE), UNABLE)
    shown = random.choice((DESCRIBE[:-1], DIGIT, SHAPE, [form.format("shapes") for form in COUNT]))
    return Asked("text", random.choice(shown), UNSEEN)


def strange(random: Random) -> Asked:
    """What it cannot answer, picture or not."""
    return Asked("text", random.choice(STRANGE), UNABLE)


def worded(question: str, random: Random) -> str:
    """As people type it: without the mark, in lower case, after a polite word."""
    if random.random() < 0.15:
        question = question.rstrip("?.!")
    if random.random() < 0.15:
        question = question.lower()
    if question and random.random() < 0.08:
        opening = random.choice(("Please tell me: ", "Can you tell me: ", "Hi! ", "Please: "))
        question = opening + question
    return question


def description(scene: Scene) -> str:
    """The full answer: everything that is in the picture."""
    if scene.digit is not None:
        return f"The digit {DIGITS[scene.digit]} in {scene.colour}."
    words = " and ".join(group.words() for group in scene.groups)
    return words[:1].upper() + words[1:] + "." if words else "Nothing."


def _describe(scene: Scene, random: Random) -> Asked:
    return Asked("describe", random.choice(DESCRIBE), description(scene))


def _digit(scene: Scene, random: Random) -> Asked:
    answer = "There is no digit." if scene.digit is None else DIGITS[scene.digit].capitalize() + "."
    return Asked("digit", random.choice(DIGIT), answer)


def _count(scene: Scene, random: Random) -> Asked:
    words, count = "shapes", scene.count
    chance = random.random()
    if scene.groups and chance < 0.6:
        one = random.choice(scene.groups).shape if chance < 0.45 else random.choice(SHAPES)
        words, count = _many(one), sum(group.count for group in scene.groups if group.shape == one)
    elif scene.groups and chance < 0.7:
        one = random.choice(scene.groups).colour
        words, count = f"{one} shapes", sum(group.count for group in scene.groups if group.colour == one)
    answer = DIGITS[count].capitalize() + "." if count else "None."
    kind = "count" if words == "shapes" else "count of some"
    return Asked(kind, random.choice(COUNT).format(words), answer)


def _colour(scene: Scene, random: Random) -> Asked | None:
    word = random.choice(("colour", "color"))
    if scene.digit is not None:
        form = random.choice((*COLOUR_OF_IT, "What {} is the digit?", "Which {} does the digit have?"))
        return Asked("colour", form.format(word), scene.colour.capitalize() + ".")
    if not scene.groups:
        return None
    group = random.choice(scene.groups)
    if len({other.colour for other in scene.groups if other.shape == group.shape}) > 1:
        return None
    if len({other.colour for other in scene.groups}) == 1 and random.random() < 0.4:
        question = random.choice(COLOUR_OF_IT).format(word)
    else:
        question = random.choice(COLOUR).format(word, group.shape)
    return Asked("colour", question, group.colour.capitalize() + ".")


def _shape(scene: Scene, random: Random) -> Asked | None:
    if len({group.shape for group in scene.groups}) != 1:
        return None
    return Asked("shape", random.choice(SHAPE), f"A {scene.groups[0].shape}.")


def _which(scene: Scene, random: Random) -> Asked | None:
    if not scene.groups:
        return None
    group = random.choice(scene.groups)
    if sum(other.colour == group.colour for other in scene.groups) > 1:
        return None
    return Asked("shape", random.choice(WHICH).format(group.colour), f"A {group.shape}.")


def _there(scene: Scene, random: Random) -> Asked:
    real = scene.groups and random.random() < 0.5
    shape = random.choice(scene.groups).shape if real else random.choice(SHAPES)
    colour = ""
    if random.random() < 0.3:
        colours = [group.colour for group in scene.groups if group.shape == shape]
        colour = random.choice(colours) if colours and random.random() < 0.5 else random.choice(COLOURS)
    found = any(group.shape == shape and colour in ("", group.colour) for group in scene.groups)
    thing = f"{colour} {shape}".strip()
    question = random.choice(THERE).format(thing).replace(" a orange", " an orange")
    return Asked("yes or no", question, "Yes." if found else "No.")


def _many(shape: str) -> str:
    return f"{shape}s"
