"""What belongs together: the demo corpus as topics, each of which is texts about one thing.

Knows the corpus and draws from it, seeded. Knows nothing of tokens and of models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from scripts.demo_model.corpus import Corpus


@dataclass(frozen=True)
class Topic:
    """Wordings of one question, and the passages that answer it; `unseen` wordings are never trained."""

    questions: tuple[str, ...]
    passages: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def answered(corpus: Corpus) -> list[Topic]:
    """The facts. A long answer is one passage for each of its paragraphs."""
    trained = {_words(question) for fact in corpus.facts for question in fact.ask}
    return [
        Topic(
            fact.ask,
            tuple(fact.say.strip().split("\n\n")),
            # In lower case and without its marks, some unseen wording is a trained one.
            tuple(question for question in fact.unseen if _words(question) not in trained),
        )
        for fact in corpus.facts
    ]


def unanswered(corpus: Corpus) -> list[Topic]:
    """Questions about things that the corpus does not know: alike when they are about the same thing."""
    templates = [template for template in corpus.unknown_templates if template.count("{}") == 1]
    return [Topic(tuple(template.format(thing) for template in templates)) for thing in corpus.unknown_things]


def texts(corpus: Corpus) -> list[str]:
    """Everything that may be trained, for counting words."""
    told = [text for topic in answered(corpus) for text in (*topic.questions, *topic.passages)]
    return [*told, *corpus.texts, *corpus.unknown_templates, *corpus.unknown_things]


def related(topic: Topic, random: Random) -> tuple[str, str]:
    """Two different texts of a topic; where it has passages, about every second time one of them."""
    if topic.passages and random.random() < 0.5:
        return random.choice(topic.questions), random.choice(topic.passages)
    first, second = random.sample(topic.questions + topic.passages, 2)
    return first, second


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
