"""The forms that prompts come in, against the fake vocabulary: a word is its number."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.server.prompts import Prompts, prompt_tokens
from runtime.server.refusals import BadRequest
from support.fakes import FakeModel

ONE_PROMPT: list[tuple[str, Any, tuple[int, ...]]] = [
    ("text", "1 2", (1, 2)),
    ("tokens", [1, 2, 3], (1, 2, 3)),
    ("both in turn", [1, "2 3", 4], (1, 2, 3, 4)),
    ("text first", ["1 2", 3], (1, 2, 3)),
    ("an object", {"prompt_string": "1 2"}, (1, 2)),
    ("an object around both", {"prompt_string": ["1", 2]}, (1, 2)),
    ("an object without pictures", {"prompt_string": "1", "multimodal_data": []}, (1,)),
    ("nothing", "", ()),
]

SEVERAL: list[tuple[str, Any, tuple[tuple[int, ...], ...]]] = [
    ("a list of one", ["1 2"], ((1, 2),)),
    ("texts", ["1", "2 3"], ((1,), (2, 3))),
    ("lists of tokens", [[1, 2], [3]], ((1, 2), (3,))),
    ("everything", ["1", [2, "3", 4], {"prompt_string": "5"}, [6]], ((1,), (2, 3, 4), (5,), (6,))),
]

BAD: list[tuple[str, Any, str]] = [
    ("no prompts", [], "p: 1 to 4 are needed"),
    ("too many", ["1"] * 5, "p: 1 to 4 are needed"),
    ("no such token", [1000], "there is no token 1000"),
    ("a negative token", ["1", [2, -1]], "there is no token -1"),
    ("a token of no size", [10**18], "there is no token"),
    ("a number among lists", [1, [2]], "do not go together"),
    ("a picture", {"prompt_string": "1", "multimodal_data": ["AAAA"]}, "text only"),
]


def tokens(given: Any) -> tuple[tuple[int, ...], ...]:
    return prompt_tokens(msgspec.convert(given, Prompts), FakeModel(), "p", at_most=4)


@pytest.mark.parametrize(("given", "expected"), [row[1:] for row in ONE_PROMPT], ids=[row[0] for row in ONE_PROMPT])
def test_one_prompt(given: Any, expected: tuple[int, ...]) -> None:
    assert tokens(given) == (expected,)


@pytest.mark.parametrize(("given", "expected"), [row[1:] for row in SEVERAL], ids=[row[0] for row in SEVERAL])
def test_several_prompts(given: Any, expected: tuple[tuple[int, ...], ...]) -> None:
    assert tokens(given) == expected


@pytest.mark.parametrize(("given", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_prompts_are_told(given: Any, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as error:
        tokens(given)
    assert error.value.field.startswith("p")
