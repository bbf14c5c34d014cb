"""How `/v1/completions` answers: pieces of text, and probabilities in the form that they had before chats."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from runtime import __version__
from runtime.engine.backend import Model
from runtime.engine.types import FinishedEvent, Probabilities, TokenEvent
from runtime.server.dialect import Failure
from runtime.server.generating import Answer
from runtime.server.openai.endings import FINISH_REASONS, usage_object
from runtime.server.openai.errors import error_object
from runtime.server.probabilities import token_probabilities
from runtime.server.stream import EVENTS_UNTIL_DONE
from runtime.server.timings import prompt_progress, timings


class CompletionShape(msgspec.Struct, frozen=True):
    """How many answers to each prompt are shown (`n`) of those that are made (`best_of`), and what is in them.

    `top_logprobs` None: no probabilities; 0: those of the tokens alone. `echoes` is what comes before the answers to
    each prompt. `shows_usage` at the end of a stream.
    """

    n: int
    best_of: int
    top_logprobs: int | None
    echoes: tuple[str, ...]
    shows_usage: bool


class CompletionWriter:
    """Writes the answers to one request."""

    framing = EVENTS_UNTIL_DONE

    def __init__(self, model: Model, name: str, shape: CompletionShape) -> None:
        self._model = model
        self._shape = shape
        self._head = {
            "id": f"cmpl-{secrets.token_urlsafe(18)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": name,
            "system_fingerprint": f"loaf-{__version__}",
        }
        self._offsets = [0] * len(shape.echoes) * shape.n

    def opening(self, index: int) -> Iterable[Any]:
        echo = self._shape.echoes[index // self._shape.n]
        return (self._chunk(index, echo),) if echo else ()

    def token(self, index: int, event: TokenEvent) -> Iterable[Any]:
        if event.progress is not None and not event.tokens:
            return ({**self._chunk(index, ""), **prompt_progress(event.progress)},)
        logprobs = self._logprobs(event.probabilities, self._offsets[index])
        if logprobs is not None:
            self._offsets[index] += sum(map(len, logprobs["tokens"]))
        elif not event.text:
            return ()
        return (self._chunk(index, event.text, logprobs),)

    def last(self, index: int, event: FinishedEvent) -> Iterable[Any]:
        final = self._chunk(index, event.text, None, FINISH_REASONS[event.reason])
        if not self._shape.shows_usage:
            final["timings"] = timings(event.usage)
        return (final,)

    def closing(self, finished: Sequence[FinishedEvent]) -> Iterable[Any]:
        return ({**self._head, "choices": [], **self._costs(finished)},) if self._shape.shows_usage else ()

    def failed(self, failure: Failure) -> Iterable[Any]:
        return (error_object(failure),)

    def whole(self, answers: Sequence[Answer]) -> Any:
        n, best_of = self._shape.n, self._shape.best_of
        choices: list[dict[str, Any]] = []
        for i, echo in enumerate(self._shape.echoes):
            for one in _best(answers[i * best_of : (i + 1) * best_of], n):
                logprobs = self._logprobs(one.probabilities, 0)
                choices.append(_choice(len(choices), echo + one.text, logprobs, FINISH_REASONS[one.finished.reason]))
        return {**self._head, "choices": choices, **self._costs([one.finished for one in answers])}

    def _chunk(
        self, index: int, text: str, logprobs: dict[str, Any] | None = None, finish_reason: str | None = None
    ) -> dict[str, Any]:
        return {**self._head, "choices": [_choice(index, text, logprobs, finish_reason)]}

    def _costs(self, finished: Sequence[FinishedEvent]) -> dict[str, Any]:
        return {"usage": usage_object(finished, self._shape.best_of), "timings": timings(finished[0].usage)}

    def _logprobs(self, given: tuple[Probabilities, ...], offset: int) -> dict[str, Any] | None:
        """Lists with an entry for each token; `offset` is where the first one begins in the answer, in characters."""
        top = self._shape.top_logprobs
        if top is None or not given:
            return None
        entries = token_probabilities(self._model, given, post_sampling=False)
        tokens = [entry["token"] for entry in entries]
        ends = [offset]
        for token in tokens:
            ends.append(ends[-1] + len(token))
        return {
            "tokens": tokens,
            "token_logprobs": [entry["logprob"] for entry in entries],
            "top_logprobs": [_by_text(entry["top_logprobs"][:top]) for entry in entries],
            "text_offset": ends[:-1],
        }


def _by_text(entries: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Best first; of tokens that read alike, the best."""
    found: dict[str, float] = {}
    for entry in entries:
        found.setdefault(entry["token"], entry["logprob"])
    return found


def _choice(index: int, text: str, logprobs: dict[str, Any] | None, finish_reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}


def _best(answers: Sequence[Answer], n: int) -> Sequence[Answer]:
    """The `n` whose tokens were the most probable on average, best first."""
    return answers if len(answers) == n else sorted(answers, key=_likelihood, reverse=True)[:n]


def _likelihood(one: Answer) -> float:
    """The mean logarithm of its tokens' probabilities."""
    logarithms = [
        math.log(token.sampled.probability) if token.sampled.probability > 0 else -math.inf
        for token in one.probabilities
    ]
    return sum(logarithms) / len(logarithms) if logarithms else 0.0
