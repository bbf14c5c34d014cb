"""Conversations about scenes, as the chat template renders them, and as tokens with room for the pictures.

Knows where clients put a picture beside the words, no pixels. Everything comes from one seeded generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from tokenizers import Tokenizer

from scripts.demo_model import tokenizer as vocabulary
from scripts.demo_model.mixture import render
from scripts.demo_model.weather import Message
from scripts.vision_model import questions
from scripts.vision_model.scenes import Scene, scene

MARKER = "<__media__>"
"""What libmtmd looks for in a prompt (mtmd_default_marker)."""
PLACE = -1
"""Stands in a conversation's tokens where a patch of a picture goes."""
_SYSTEMS = (
    "You are a helpful assistant.", "You are a helpful assistant.", "You are a helpful AI assistant.", "Be concise.",
    "Answer in one sentence.", "Answer briefly.",
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A conversation's tokens (PLACE for patches), and which of them the model is to learn to say."""

    tokens: list[int]
    said: list[bool]


class Talks:
    """An endless supply; `shows` gives the scene of the next picture."""

    def __init__(self, seed: int, shows: Callable[[], Scene]) -> None:
        self.random = Random(seed)
        self.shows = shows

    def talk(self) -> str:
        """Mostly several questions about one picture; at times a second picture, words before it, or none at all.

        There is a MARKER for each picture, in order.
        """
        random = self.random
        messages: list[Message] = []
        if random.random() < 0.35:
            messages.append({"role": "system", "content": random.choice(_SYSTEMS)})
        if random.random() < 0.08:
            for _ in range(random.choice((1, 1, 2))):
                messages += _turn(self._asked(questions.unpictured(random)))
            return render(messages)
        if random.random() < 0.08:
            greeting = random.choice(questions.GREETINGS)
            messages += _turn((questions.worded(greeting, random), questions.HELLO))
        for turns in self._lengths():
            scene = self.shows()
            for number in range(turns):
                strange = number and random.random() < 0.03
                one = questions.strange(random) if strange else questions.asked(scene, random)
                question, answer = self._asked(one)
                messages += _turn((self._beside(question) if number == 0 else question or "What is it?", answer))
        return render(messages)

    def _lengths(self) -> tuple[int, ...]:
        """Questions for each picture."""
        return self.random.choices(((4,), (6,), (1,), (2, 2), (1, 3), (1, 1, 1)), (45, 20, 5, 15, 10, 5))[0]

    def _asked(self, one: questions.Asked) -> tuple[str, str]:
        return questions.worded(one.question, self.random), one.answer

    def _beside(self, question: str) -> str:
        """The picture before or after the words, in each way that clients and servers join the two."""
        if not question:
            return MARKER
        return self.random.choices(
            (f"{MARKER}{question}", f"{MARKER}\n{question}", f"{question}\n{MARKER}", f"{question}{MARKER}",
             f"{MARKER} {question}", f"{question} {MARKER}"),
            (30, 20, 20, 15, 8, 7),
        )[0]  # fmt: skip


def texts(count: int) -> Iterator[str]:
    """What the tokenizer learns from: wordings alone, nothing is drawn."""
    random = Random(0)
    for number in range(count):
        one = questions.asked(scene(random), random) if number % 3 else questions.unpictured(random)
        yield render(_turn((questions.worded(one.question, random), one.answer)))


def example(talk: str, tokenizer: Tokenizer, patches: int) -> Example:
    """Each stretch of text between pictures is tokenized alone, as libmtmd does; learnt is what an assistant says."""
    tokens: list[int] = []
    for number, stretch in enumerate(talk.split(MARKER)):
        tokens += [PLACE] * patches if number else []
        tokens += tokenizer.encode(stretch).ids
    heading = tokenizer.encode(f"{vocabulary.START}assistant\n").ids
    end = tokenizer.token_to_id(vocabulary.END)
    said, saying = [], False
    for i, token in enumerate(tokens):
        said.append(saying)
        if saying and token == end:
            saying = False
        elif tokens[max(0, i + 1 - len(heading)) : i + 1] == heading:
            saying = True
    return Example(tokens, said)


def _turn(pair: tuple[str, str]) -> list[Message]:
    return [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
