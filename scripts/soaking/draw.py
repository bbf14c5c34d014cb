"""What is asked: every question follows from the seed and its number, whatever the others have become.

Knows the requests of llama-server's and OpenAI's dialects. What an answer must be like it says in `Expected`, which
`judge.py` looks at.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_WORDS = (
    *("the", "moon", "is", "a", "man", "who", "was", "first", "on", "it", "and", "bread", "bakes", "in", "an"),
    *("oven", "while", "rain", "falls", "loaf", "talks", "of", "weather", "Paris", "é", "😀", "42", "{}"),
)
_TOKENS = range(10, 1000)
"""Tokens that every vocabulary has and that are mostly plain text."""

_LONGEST = 1500
_PREFIXES = 6
_STOP_STRINGS = ("e", " the", "\n", "oo", "zz", "é", ". ")

_SAMPLING: dict[str, tuple[Any, ...]] = {
    "temperature": (0, 0.2, 0.8, 1.5, 5.0, -1),
    "dynatemp_range": (0.5,),
    "top_k": (0, 1, 5, 40, 100_000),
    "top_p": (0.0, 0.5, 0.95, 1.0),
    "min_p": (0.0, 0.05, 0.5),
    "typical_p": (0.3, 1.0),
    "top_n_sigma": (1.0,),
    "xtc_probability": (0.5,),
    "repeat_penalty": (1.1, 2.0),
    "repeat_last_n": (0, 64, -1),
    "presence_penalty": (0.5,),
    "frequency_penalty": (-0.5, 0.5),
    "dry_multiplier": (0.8,),
    "mirostat": (0, 1, 2),
    "seed": (-1, 0, 1, 2**31, 12345),
    "ignore_eos": (True, False),
    "logit_bias": ([[15, 2.5], [16, False]], [["the", -1.0]]),
    "n_keep": (0, 5, -1),
    "t_max_predict_ms": (1, 200),
    "cache_prompt": (True, False),
    "samplers": (["top_k", "temperature"], ["min_p", "temperature", "top_p"], []),
}
_COLOUR = {"enum": ["red", "blue"]}
_SCHEMA = {
    "type": "object",
    "properties": {"colour": _COLOUR, "big": {"type": "boolean"}},
    "required": ["colour", "big"],
    "additionalProperties": False,
}
_SCHEMA_PATTERN = r'\s*\{\s*"colour"\s*:\s*"(red|blue)"\s*,\s*"big"\s*:\s*(true|false)\s*\}\s*'
_GRAMMARS = (
    ('root ::= "yes" | "no"', r"yes|no"),
    ('root ::= [0-9]{3} "!"', r"\d{3}!"),
    ('root ::= "😀 漢字" [a-z]{3}', r"😀 漢字[a-z]{3}"),
    ('root ::= "{\\"name\\": \\"" [a-zA-Z ]{1,20} "\\"}"', r'\{"name": "[a-zA-Z ]{1,20}"\}'),
)
_LONG_ENOUGH = 80
"""Tokens in which any of these grammars comes to its end."""

_COMPLETION, _CHAT = "/completion", "/v1/chat/completions"
_HELLO = [{"role": "user", "content": "hello"}]
_WRONG: tuple[tuple[str, str, Any], ...] = (
    (_COMPLETION, "not JSON", b'{"prompt": '),
    (_COMPLETION, "no body", b""),
    (_COMPLETION, "not an object", [1, 2]),
    (_COMPLETION, "no such token", {"prompt": [10**9]}),
    (_COMPLETION, "a wrong type", {"prompt": "x", "n_predict": "many"}),
    (_COMPLETION, "no prompt", {"prompt": ""}),
    (_COMPLETION, "a grammar that does not parse", {"prompt": "x", "grammar": "root ::= ("}),
    (_COMPLETION, "a grammar that goes round", {"prompt": "x", "grammar": "root ::= root"}),
    (_COMPLETION, "a penalty that looks too far back", {"prompt": "x", "repeat_last_n": -2}),
    (_COMPLETION, "a penalty of 0", {"prompt": "x", "repeat_penalty": 0}),
    (_COMPLETION, "no end of nesting", b'{"prompt":' + b"[" * 50_000),
    (_CHAT, "no messages", {"messages": []}),
    (_CHAT, "messages of a wrong type", {"messages": "hi"}),
    (_CHAT, "a picture", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
    (_CHAT, "no such format", {"messages": _HELLO, "response_format": {"type": "yaml"}}),
    ("/v1/embeddings", "nothing to embed", {"input": []}),
    ("/v1/nothing", "no such route", {}),
)


class Dialect(Enum):
    """Whose form an answer has."""

    NATIVE = "native"
    CHAT = "chat"
    EMBEDDING = "embedding"
    JSON = "json"
    """Any."""


class Leaving(Enum):
    """When a client closes its connection."""

    NEVER = "never"
    IN_THE_REQUEST = "in the request"
    AT_ONCE = "after the request"
    IN_THE_ANSWER = "in the answer"
    AFTER_IT = "after the answer"


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer must be like; with `refused` it must be none, with `refusable` it need not be one.

    `limit` in tokens, for each of `answers`. A text that came to its own end matches `pattern`, and none of `stop` is
    in it. With `usage` a stream ends with the counts.
    """

    dialect: Dialect = Dialect.JSON
    refused: bool = False
    refusable: bool = False
    streams: bool = False
    answers: int = 1
    limit: int | None = None
    stop: tuple[str, ...] = ()
    pattern: str = ""
    usage: bool = False


@dataclass(frozen=True, slots=True)
class Departure:
    """Leaving after so many `pieces` of the answer, if it comes to that, and a `pause` in seconds in which nothing
    is read. With `reset` without goodbye."""

    when: Leaving = Leaving.NEVER
    pieces: int = 0
    pause: float = 0.0
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and what is to become of it. `kind` is for people."""

    number: int
    kind: str
    method: str
    path: str
    body: bytes
    expected: Expected
    departure: Departure = field(default_factory=Departure)


class Mix:
    """All questions of one `seed`, for a server whose context holds `n_ctx` tokens."""

    def __init__(self, seed: int, n_ctx: int) -> None:
        self._seed = seed
        self._n_ctx = n_ctx
        chance = random.Random(f"{seed} prefixes")
        self._prefixes = [_token_ids(chance, round(20 * 2**i)) for i in range(_PREFIXES)]
        self._openings = [_text(chance, 15 * 2**i) for i in range(_PREFIXES)]

    def question(self, number: int) -> Question:
        """Number `number`, the same each time."""
        chance = random.Random(f"{self._seed} {number}")
        makers = (self._native, self._chat, self._wrong, self._too_long, self._embedding, self._other)
        maker = chance.choices(makers, weights=(48, 30, 8, 3, 6, 5))[0]
        kind, method, path, body, expected = maker(chance)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Question(number, kind, method, path, content, expected, _departure(chance))

    def _native(self, chance: random.Random) -> _Drawn:
        limit = _limit(chance)
        body: dict[str, Any] = {"prompt": self._prompt(chance), "n_predict": limit, **_sampling(chance)}
        stop, pattern, streams = _ending(chance, body), "", chance.random() < 0.5
        if chance.random() < 0.12:
            pattern = _restrict(chance, body)
            stop, limit = (), _LONG_ENOUGH
            body["n_predict"] = limit
        if chance.random() < 0.08:
            body |= {"n_probs": chance.choice((1, 5)), "post_sampling_probs": chance.random() < 0.5}
        answers = chance.choice((2, 3)) if chance.random() < 0.05 else 1
        if answers > 1:
            body["n"] = answers
        if streams:
            body["stream"] = True
        expected = Expected(Dialect.NATIVE, streams=streams, answers=answers, limit=limit, stop=stop, pattern=pattern)
        return _kind("native", expected), "POST", _COMPLETION, body, expected

    def _chat(self, chance: random.Random) -> _Drawn:
        limit = max(1, _limit(chance))
        body: dict[str, Any] = {"messages": self._messages(chance), "max_tokens": limit, **_sampling(chance)}
        stop, pattern, streams = _ending(chance, body), "", chance.random() < 0.5
        if chance.random() < 0.1:
            pattern, stop, limit = _SCHEMA_PATTERN, (), _LONG_ENOUGH
            _remove_what_restricts(body)
            schema = {"type": "json_schema", "json_schema": {"name": "c", "schema": _SCHEMA}}
            body |= {"response_format": schema, "max_tokens": limit}
        usage = streams and chance.random() < 0.5
        if usage:
            body["stream_options"] = {"include_usage": True}
        if streams:
            body["stream"] = True
        expected = Expected(Dialect.CHAT, streams=streams, limit=limit, stop=stop, pattern=pattern, usage=usage)
        return _kind("chat", expected), "POST", _CHAT, body, expected

    def _wrong(self, chance: random.Random) -> _Drawn:
        path, _what, body = chance.choice(_WRONG)
        return "wrong", "POST", path, body, Expected(refused=True)

    def _too_long(self, chance: random.Random) -> _Drawn:
        body = {"prompt": _token_ids(chance, self._n_ctx + chance.choice((0, 1, 5000))), "n_predict": 5}
        return "too long", "POST", _COMPLETION, body, Expected(refused=True)

    def _embedding(self, chance: random.Random) -> _Drawn:
        count = chance.randint(1, 8)
        body = {"input": [_text(chance, chance.randint(1, 60)) for _ in range(count)]}
        return "embedding", "POST", "/v1/embeddings", body, Expected(Dialect.EMBEDDING, answers=count)

    def _other(self, chance: random.Random) -> _Drawn:
        if chance.random() < 0.3:
            path = f"/slots/{chance.randrange(10)}?action=erase"
            return "erase", "POST", path, b"", Expected(refusable=True)  # it may be in use, or not exist
        path = chance.choice(("/health", "/v1/models", "/slots"))
        return "other", "GET", path, b"", Expected()

    def _prompt(self, chance: random.Random) -> str | list[int]:
        """Text or tokens, often with a beginning that others have too; at most so long that the context holds it."""
        length = _log_uniform(chance, min(_LONGEST, self._n_ctx - 2))
        if chance.random() < 0.5:
            if chance.random() < 0.5:
                return _text(chance, _words(length))
            return (chance.choice(self._openings) + " " + _text(chance, _words(length)))[: 3 * length]
        if chance.random() < 0.5:
            return _token_ids(chance, length)
        prefix = chance.choice(self._prefixes)
        shared = prefix[: chance.randint(1, len(prefix))]
        return (shared + _token_ids(chance, length))[:length]

    def _messages(self, chance: random.Random) -> list[dict[str, str]]:
        length = _words(_log_uniform(chance, min(_LONGEST // 2, self._n_ctx // 2)))
        messages = [{"role": "user", "content": _text(chance, length)}]
        if chance.random() < 0.3:
            answer = {"role": "assistant", "content": _text(chance, 5)}
            messages = [{"role": "user", "content": "hello"}, answer, *messages]
        if chance.random() < 0.5:
            messages = [{"role": "system", "content": chance.choice(self._openings[:5])}, *messages]
        return messages


_Drawn = tuple[str, str, str, Any, Expected]
"""Kind, method, path, body, and what is expected of the answer."""


def _departure(chance: random.Random) -> Departure:
    if chance.random() > 0.16:
        return Departure()
    when = chance.choice([one for one in Leaving if one is not Leaving.NEVER])
    pause = chance.choice((0.0, 0.0, chance.random() * 0.5, chance.random() * 2))
    return Departure(when, pieces=chance.choice((0, 1, 5, 20)), pause=pause, reset=chance.random() < 0.5)


def _limit(chance: random.Random) -> int:
    """Of what is generated: mostly little, sometimes nothing at all, or much."""
    if chance.random() < 0.05:
        return 0
    return chance.choice((1, 2, 5, 8, 16, 16, 24, 32, 48, 150))


def _sampling(chance: random.Random) -> dict[str, Any]:
    """Any of them, and sometimes fields that nobody knows."""
    fields = {name: chance.choice(values) for name, values in _SAMPLING.items() if chance.random() < 0.12}
    if chance.random() < 0.1:
        fields["unheard_of"] = {"nested": [1, None, "x"]}
    return fields


def _ending(chance: random.Random, body: dict[str, Any]) -> tuple[str, ...]:
    if chance.random() > 0.2:
        return ()
    stop = tuple(chance.sample(_STOP_STRINGS, chance.randint(1, 3)))
    body["stop"] = stop[0] if len(stop) == 1 else list(stop)
    return stop


def _restrict(chance: random.Random, body: dict[str, Any]) -> str:
    """Put a grammar or a schema into `body`; returns what the text then matches."""
    _remove_what_restricts(body)
    if chance.random() < 0.3:
        body["json_schema"] = _SCHEMA
        return _SCHEMA_PATTERN
    body["grammar"], pattern = chance.choice(_GRAMMARS)
    return pattern


def _remove_what_restricts(body: dict[str, Any]) -> None:
    """What may leave a grammar nothing that could come next."""
    for name in ("stop", "logit_bias", "ignore_eos"):
        body.pop(name, None)


def _kind(dialect: str, expected: Expected) -> str:
    form = "stream" if expected.streams else "whole"
    return f"{dialect} {form}{', restricted' if expected.pattern else ''}"


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(_WORDS) for _ in range(words))


def _words(tokens: int) -> int:
    """How many words come to so many tokens, or fewer."""
    return max(1, tokens // 2)


def _token_ids(chance: random.Random, count: int) -> list[int]:
    return chance.choices(_TOKENS, k=count)


def _log_uniform(chance: random.Random, most: int) -> int:
    return max(1, round(math.pow(most, chance.random())))
