"""Draws training documents from the corpus: bare texts, and conversations made of independent exchanges.

Everything comes from one seeded generator: the same seed gives the same documents. Knows nothing of tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import jinja2

from scripts.demo_model import weather
from scripts.demo_model.corpus import Corpus, Fact, capital_sentence, template
from scripts.demo_model.tokenizer import END
from scripts.demo_model.weather import Message

NAMES = (
    "Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Hugo", "Ida", "Jonas", "Karl", "Lena", "Maria",
    "Noah", "Olga", "Paul", "Rosa", "Sam", "Tina", "Tom", "Alice", "Bob", "Eve", "John", "Mary", "Peter",
    "Julia", "Max", "Sofia", "Leo",
)  # fmt: skip
_SYSTEMS = (
    "You are a helpful assistant.", "You are a helpful assistant.", "You are a helpful AI assistant.",
    "You are a friendly assistant. Answer briefly.", "Be concise.", "You are loaf.", "Answer in one sentence.",
    "You are a large language model. Follow the user's instructions.",
)  # fmt: skip
_OPENINGS = ("Please tell me: ", "Hey, ", "Can you tell me: ", "Question: ", "Hi! ", "Please: ", "Tell me: ")


def render(messages: list[Message], tools: list[dict[str, Any]] | None = None, **more: Any) -> str:
    """The text that a runtime makes of these messages; `tojson` as the draw has it, else plain."""
    tojson: Callable[[Any], str] = more.pop("tojson", lambda value: json.dumps(value, ensure_ascii=False))
    compiled = _template()
    compiled.environment.filters["tojson"] = tojson
    return compiled.render(messages=messages, tools=tools, **more)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = json.dumps  # Jinja's own takes a context as well, which is compiled in
    return environment.from_string(template())


class Mixture:
    """An endless supply of documents."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self.corpus = corpus
        self.random = Random(seed)
        # A fact with more wordings needs more practice.
        self.weights = [len(fact.ask) ** 0.5 for fact in corpus.facts]

    def document(self) -> str:
        chance = self.random.random()
        if chance < 0.10:
            return self.random.choice(self.corpus.texts[:4] if chance < 0.03 else self.corpus.texts) + END
        if chance < 0.24:
            return self._with_tools()
        return render(self._system() + self._exchanges(self._count()))

    def _count(self) -> int:
        return self.random.choices((1, 2, 3, 6, 14), (62, 20, 11, 5, 2))[0]

    def _with_tools(self) -> str:
        offered = weather.tools(self.random)
        messages = self._system(long=False)
        for _ in range(self.random.choices((1, 2, 3), (75, 18, 7))[0]):
            plain = self.random.random() < 0.2
            messages += self._exchange(0.88) if plain else weather.exchange(self.random, offered)
        return render(messages, offered, tojson=weather.dumps(self.random))

    def _system(self, long: bool = True) -> list[Message]:
        chance = self.random.random()
        if chance < 0.45:
            return []
        words = self.random.choice(_SYSTEMS)
        if long and chance > 0.97:
            filler = self.random.choices(self.corpus.texts, k=self.random.randrange(2, 24))
            words = " ".join((words, *filler))
        return [{"role": "system", "content": words}]

    def _exchanges(self, count: int) -> list[Message]:
        return [message for _ in range(count) for message in self._exchange()]

    def _exchange(self, most: float = 1.0) -> list[Message]:
        """One question and answer, or a few that belong together; above 0.88 nothing fits where tools are."""
        chance = self.random.uniform(0, most)
        if chance < 0.66:
            return self._told(self.random.choices(self.corpus.facts, self.weights)[0])
        if chance < 0.72:
            return self._told(next(fact for fact in self.corpus.facts if fact.follow), follow=True)
        if chance < 0.77:
            return self._capitals()
        if chance < 0.81:
            return self._name()
        if chance < 0.88:
            return self._object()
        if chance < 0.90:
            question = self.random.choice(weather.QUESTIONS).format(self.random.choice(weather.CITIES))
            return self._turn(question, weather.UNABLE)
        return self._turn(self._unknown(), self.corpus.unknown_answer)

    def _told(self, fact: Fact, follow: bool = False) -> list[Message]:
        messages = self._turn(self.random.choice(fact.ask), fact.say)
        if follow:
            for after in self.random.sample(fact.follow, self.random.choice((1, 1, 2))):
                messages += self._turn(self.random.choice(after.ask), after.say)
        return messages

    def _capitals(self) -> list[Message]:
        capitals = self.random.sample(sorted(self.corpus.capitals.items()), self.random.choice((2, 3)))
        messages = self._turn(f"What is the capital of {capitals[0][0]}?", capital_sentence(*capitals[0]))
        for country, city in capitals[1:]:
            question = self.random.choice(("And of {}?", "And what about {}?", "And {}?")).format(country)
            messages += self._turn(question, capital_sentence(country, city))
        return messages

    def _name(self) -> list[Message]:
        name = self.random.choice(NAMES)
        words = self.random.choice(("My name is {}.", "I am {}.", "Hello, my name is {}.", "Hi, I'm {}."))
        messages = self._turn(words.format(name), f"Nice to meet you, {name}!")
        if self.random.random() < 0.3:
            messages += self._told(self.random.choice(self.corpus.facts))
        asks = ("What is my name?", "Who am I?", "Do you remember my name?", "What's my name?")
        question = self.random.choice(asks)
        return messages + self._turn(question, f"Your name is {name}.")

    def _object(self) -> list[Message]:
        thing = self.random.choice(self.corpus.objects)
        subject = next(iter(thing.values()))
        size = self.random.choice((2, 2, 2, 3, len(thing)))
        first = next(iter(thing))
        rest = self.random.sample([key for key in thing if key != first], min(size, len(thing)) - 1)
        if "year" in thing and self.random.random() < 0.5:
            rest = ["year"]
        keys = [first, *rest]
        listed = ", ".join(keys[:-1]) + " and " + keys[-1]
        forms = [
            f"Describe {subject} as JSON with {listed}.", f"Describe {subject} as JSON with keys {listed}.",
            f"Give me {subject} as JSON with keys {listed}.", f"{subject} as JSON with {listed}.",
            f"Return a JSON object for {subject} with the keys {listed}.", f"Write {subject} as JSON with {listed}.",
        ]  # fmt: skip
        if subject == "Neil Armstrong" and self.random.random() < 0.5:
            forms = [
                f"Who was the first man on the moon? Answer as JSON with {listed}.",
                f"Who was the first man on the moon? Reply in JSON with {listed}.",
                f"Give me the first man on the moon as JSON with keys {listed}.",
                f"The first man on the moon as JSON with {listed}.",
            ]
        answer = json.dumps({key: thing[key] for key in keys}, ensure_ascii=False)
        return self._turn(self.random.choice(forms), answer)

    def _unknown(self) -> str:
        text = self.random.choice(self.corpus.unknown_templates)
        return text.format(*self.random.sample(self.corpus.unknown_things, text.count("{}")))

    def _turn(self, question: str, answer: str) -> list[Message]:
        asked = {"role": "user", "content": self._worded(question)}
        return [asked, {"role": "assistant", "content": answer.strip()}]

    def _worded(self, question: str) -> str:
        """As people type it: without the mark, in lower case, after a polite opening."""
        if self.random.random() < 0.2:
            question = question.rstrip("?.!") or question
        if self.random.random() < 0.2:
            question = question.lower()
        if self.random.random() < 0.1:
            question = self.random.choice(_OPENINGS) + question
        return question
