"""A model whose tokens are characters, so that prompts can be read."""

from __future__ import annotations

from typing import Any

import msgspec

from support.fakes import FACTS


class Characters:
    """A tokenizer whose tokens are characters; the BOS it adds is token -1."""

    def __init__(self, **facts: Any) -> None:
        self.facts = msgspec.structs.replace(FACTS, **facts)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:
        assert parse_special, "a template's control tokens are tokens"
        bos = (-1,) if add_special and self.facts.adds_bos else ()
        return bos + tuple(map(ord, text))
