"""Reads corpus/*.toml into facts, objects and texts.

Knows the files' form. Knows nothing of how they are mixed into training, and nothing of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Fact:
    """One answer, the wordings that ask for it, and what may be asked right after it."""

    ask: tuple[str, ...]
    say: str
    key: str  # what a right answer contains
    unseen: tuple[str, ...] = ()  # wordings that are never trained
    follow: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """Everything that the model will ever have read."""

    facts: tuple[Fact, ...]
    capitals: dict[str, str]
    texts: tuple[str, ...]
    objects: tuple[dict[str, str | int], ...]
    unknown_templates: tuple[str, ...]
    unknown_things: tuple[str, ...]
    unknown_answer: str


def load() -> Corpus:
    """The whole corpus; the order of everything in it is fixed by the files."""
    tables = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in (_HERE / "corpus").glob("*.toml")}
    world, unknown = tables["world"], tables["unknown"]
    facts = [_fact(entry) for name in ("loaf", "world", "talk", "stories") for entry in tables[name]["fact"]]
    return Corpus(
        facts=(*facts, *(_capital(country, city) for country, city in world["capitals"].items())),
        capitals=world["capitals"],
        texts=tuple(tables["stories"]["texts"]),
        objects=tuple(tables["objects"]["object"]),
        unknown_templates=tuple(unknown["templates"]),
        unknown_things=tuple(unknown["things"]),
        unknown_answer=unknown["answers"][0],
    )


def template() -> str:
    """The chat template, as it stands in the GGUF."""
    return (_HERE / "template.jinja").read_text("utf-8").rstrip("\n")


def capital_sentence(country: str, city: str) -> str:
    return f"The capital of {country} is {city}."


def _fact(entry: dict[str, Any]) -> Fact:
    return Fact(
        ask=tuple(entry["ask"]),
        say=entry["say"],
        key=entry["key"],
        unseen=tuple(entry.get("unseen", ())),
        follow=tuple(_fact(follow) for follow in entry.get("follow", ())),
    )


def _capital(country: str, city: str) -> Fact:
    ask = ("What is the capital of {}?", "Which city is the capital of {}?", "{}'s capital?", "Capital of {}?")
    unseen = (f"Tell me the capital of {country}.",)
    return Fact(tuple(a.format(country) for a in ask), capital_sentence(country, city), city, unseen)
