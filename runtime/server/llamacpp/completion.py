"""`/completion`, with llama-server's field names.

A stream holds `data: {…}` events only: no `[DONE]`, no pings, no event names, because its clients take every line
for text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from runtime.engine.types import FinishedEvent, FinishReason, GenerationRequest, Probabilities, TokenEvent
from runtime.server.dialect import Failure, error_object
from runtime.server.generating import MAX_ANSWERS, Answer, GenerationFields, answer_all, generation_request, repeated
from runtime.server.json import beside_the_loop, decode
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.probabilities import token_probabilities
from runtime.server.prompts import Prompts, prompt_tokens
from runtime.server.sampling import resolve_sampling, token_limit
from runtime.server.stream import EVENTS
from runtime.server.timings import timings
from runtime.settings import Settings

_STOP_TYPES = {
    FinishReason.END_OF_TEXT: "eos",
    FinishReason.STOP_STRING: "word",
    FinishReason.MAX_TOKENS: "limit",
    FinishReason.CONTEXT_FULL: "limit",
    FinishReason.TIME_LIMIT: "limit",
    FinishReason.ABORTED: "none",
}


class CompletionRequest(GenerationFields):
    """The body of `/completion`."""

    prompt: Prompts = ""
    model: str | None = None
    n_predict: int | None = None
    max_tokens: int | None = None
    n_cmpl: int | None = None
    return_tokens: bool | None = None


async def completion(request: web.Request) -> web.StreamResponse:
    """Continue a text."""
    body = await decode(request, CompletionRequest)
    hosted = request.app[MODELS].find(body.model)
    hosted.engine.generator()
    settings = request.app[SETTINGS]
    wanted = await beside_the_loop(
        request, lambda: _wanted(body, hosted, settings), takes_long=body.json_schema is not None
    )
    writer = _Writer(hosted, body, wanted[0])
    return await answer_all(request, hosted.engine, wanted, writer, streams=bool(body.stream))


def _wanted(body: CompletionRequest, hosted: HostedModel, settings: Settings) -> list[GenerationRequest]:
    """What the engine is asked for: so many answers to the first prompt, so many to the second."""
    model = hosted.loaded()
    limit = body.n_predict if body.n_predict is not None else body.max_tokens
    max_tokens = token_limit(limit, settings.max_tokens, "n_predict")
    sampling = resolve_sampling(body, settings.sampling, model)
    prompts = prompt_tokens(body.prompt, model, "prompt", at_most=MAX_ANSWERS)
    requests = [generation_request(body, prompt, max_tokens, sampling, hosted.engine) for prompt in prompts]
    n = body.n if body.n_cmpl is None else body.n_cmpl
    return [again for one in requests for again in repeated(one, n)]


class _Writer:
    """How `/completion` answers."""

    framing = EVENTS

    def __init__(self, hosted: HostedModel, body: CompletionRequest, wanted: GenerationRequest) -> None:
        self._model = hosted.loaded()
        self._name = hosted.name
        self._body = body
        self._wanted = wanted

    def opening(self, index: int) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def token(self, index: int, event: TokenEvent) -> Iterable[Any]:
        event_object = {
            "index": index,
            "content": event.text,
            "tokens": event.tokens,
            "stop": False,
            "id_slot": 0,
            **self._probabilities(event.probabilities),
        }
        return (event_object,)

    def last(self, index: int, event: FinishedEvent) -> Iterable[Any]:
        return (self._final(index, event, event.text, (), ()),)

    def closing(self, finished: Sequence[FinishedEvent]) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def failed(self, failure: Failure) -> Iterable[Any]:
        return (error_object(failure),)

    def whole(self, answers: Sequence[Answer]) -> Any:
        """One object, or a list of them where more than one answer was asked for."""
        finals = [self._whole_one(index, one) for index, one in enumerate(answers)]
        return finals if len(finals) > 1 else finals[0]

    def _whole_one(self, index: int, one: Answer) -> dict[str, Any]:
        tokens = one.tokens if self._body.return_tokens else ()
        return self._final(index, one.finished, one.text, tokens, one.probabilities)

    def _final(
        self,
        index: int,
        event: FinishedEvent,
        text: str,
        tokens: Sequence[int],
        probabilities: tuple[Probabilities, ...],
    ) -> dict[str, Any]:
        usage = event.usage
        return {
            "index": index,
            "content": text,
            "tokens": list(tokens),
            "id_slot": 0,
            "stop": True,
            "model": self._name,
            "tokens_predicted": usage.generated_tokens,
            "tokens_evaluated": usage.prompt_tokens,
            "tokens_cached": usage.prompt_tokens + usage.generated_tokens,
            "generation_settings": self._settings(),
            "prompt": self._body.prompt,
            "truncated": event.shifted or event.reason is FinishReason.CONTEXT_FULL,
            "stop_type": _STOP_TYPES[event.reason],
            "stopping_word": event.stop_string,
            "timings": timings(usage),
            **self._probabilities(probabilities),
        }

    def _settings(self) -> dict[str, Any]:
        sampling = msgspec.structs.asdict(self._wanted.sampling)
        triggers = sampling.pop("triggers")
        return {
            **sampling,
            "logit_bias": [{"token": token, "bias": max(bias, -1e30)} for token, bias in sampling["logit_bias"]],
            "grammar_lazy": triggers is not None,
            "n_predict": -1 if self._wanted.max_tokens is None else self._wanted.max_tokens,
            "n_keep": self._wanted.n_keep,
            "stop": self._wanted.stop,
            "stream": bool(self._body.stream),
        }

    def _probabilities(self, given: tuple[Probabilities, ...]) -> dict[str, Any]:
        if not given:
            return {}
        post_sampling = self._wanted.sampling.post_sampling_probs
        return {"completion_probabilities": token_probabilities(self._model, given, post_sampling=post_sampling)}
