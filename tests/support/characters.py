"""A model whose tokens are characters, so that prompts can be read."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from support.fakes import FACTS


class Characters:
    """A tokenizer whose tokens are characters, and the texts in `known`; the BOS it adds is token -1."""

    def __init__(self, *, known: tuple[str, ...] = (), **facts: Any) -> None:
        self.facts = msgspec.structs.replace(FACTS, knows_chatml="<|im_start|>" in known, **facts)
        self._known = known

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:
        assert parse_special, "a template's control tokens are tokens"
        bos = (-1,) if add_special and self.facts.adds_bos else ()
        parts = re.findall("|".join((*map(re.escape, self._known), "(?s:.)")), text)
        return bos + tuple(ord(part) if len(part) == 1 else -2 - self._known.index(part) for part in parts)
