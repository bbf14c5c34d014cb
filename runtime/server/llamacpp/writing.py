"""How `/completion` and `/infill` answer.

A stream holds `data: {…}` events only: no `[DONE]`, no pings, no event names, because its clients take every line
for text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from runtime.engine.types import (
    FinishedEvent,
    FinishReason,
    GenerationRequest,
    Probabilities,
    Progress,
    TokenEvent,
)
from runtime.server.dialect import Failure, error_object
from runtime.server.generating import Answer
from runtime.server.llamacpp.generation_settings import generation_settings
from runtime.server.models import HostedModel
from runtime.server.probabilities import token_probabilities
from runtime.server.stream import EVENTS
from runtime.server.timings import prompt_progress, timings

_STOP_TYPES = {
    FinishReason.END_OF_TEXT: "eos",
    FinishReason.STOP_STRING: "word",
    FinishReason.MAX_TOKENS: "limit",
    FinishReason.CONTEXT_FULL: "limit",
    FinishReason.TIME_LIMIT: "limit",
    FinishReason.INDENTATION: "limit",
    FinishReason.ABORTED: "none",
}


class Details(msgspec.Struct, frozen=True):
    """What an answer is to hold besides its text. `fields` of the last object are wanted, None for all of them."""

    streams: bool = False
    tokens: bool = False
    timings_per_token: bool = False
    prompt_progress: bool = False
    fields: tuple[str, ...] | None = None


class CompletionWriter:
    """Writes the answers to `wanted`, of which `prompts` are the texts. See `generating.Writer`."""

    framing = EVENTS

    def __init__(
        self, hosted: HostedModel, wanted: Sequence[GenerationRequest], prompts: Sequence[str], details: Details
    ) -> None:
        self._model = hosted.loaded()
        self._name = hosted.name
        self._wanted = wanted
        self._prompts = prompts
        self._details = details
        self._decoded = [0] * len(wanted)
        self._has_new_line = [False] * len(wanted)

    def opening(self, index: int) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def token(self, index: int, event: TokenEvent) -> Iterable[Any]:
        if not event.tokens and not self._details.prompt_progress:
            return ()
        self._take_note(index, event)
        wanted = self._wanted[index]
        event_object = {
            "index": index,
            "content": event.text,
            "tokens": event.tokens,
            "stop": False,
            "id_slot": -1 if wanted.slot is None else wanted.slot,
            "tokens_predicted": self._decoded[index],
            "tokens_evaluated": len(wanted.prompt),
            **self._progress(event.progress, of_prompt=not event.tokens),
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
        for event in one.events:
            self._take_note(index, event)
        tokens = one.tokens if self._details.tokens else ()
        return self._final(index, one.finished, one.text, tokens, one.probabilities)

    def _take_note(self, index: int, event: TokenEvent) -> None:
        self._decoded[index] += len(event.tokens)
        self._has_new_line[index] = self._has_new_line[index] or "\n" in event.text

    def _final(
        self,
        index: int,
        event: FinishedEvent,
        text: str,
        tokens: Sequence[int],
        probabilities: tuple[Probabilities, ...],
    ) -> dict[str, Any]:
        usage, details = event.usage, self._details
        settings = generation_settings(
            self._wanted[index],
            self._model.facts.ends,
            streams=details.streams,
            timings_per_token=details.timings_per_token,
        )
        final = {
            "index": index,
            "content": text,
            "tokens": list(tokens),
            "id_slot": -1 if event.slot is None else event.slot,
            "stop": True,
            "model": self._name,
            "tokens_predicted": usage.generated_tokens,
            "tokens_evaluated": usage.prompt_tokens,
            "generation_settings": settings,
            "prompt": self._prompts[index],
            "has_new_line": self._has_new_line[index] or "\n" in event.text,
            "truncated": event.shifted or event.reason is FinishReason.CONTEXT_FULL,
            "stop_type": _STOP_TYPES[event.reason],
            "stopping_word": event.stop_string,
            # what the slot holds now: the last token was sampled, and not computed any more
            "tokens_cached": usage.prompt_tokens + max(usage.generated_tokens - 1, 0),
            "timings": timings(usage),
            **self._probabilities(probabilities),
        }
        return final if details.fields is None else _only(details.fields, final)

    def _progress(self, progress: Progress | None, *, of_prompt: bool) -> dict[str, Any]:
        """`prompt_progress` while the prompt is computed, and `timings` where every event is to have them."""
        if progress is None:
            return {}
        written: dict[str, Any] = {"timings": timings(progress.usage)} if self._details.timings_per_token else {}
        return written | prompt_progress(progress) if of_prompt else written

    def _probabilities(self, given: tuple[Probabilities, ...]) -> dict[str, Any]:
        if not given:
            return {}
        post_sampling = self._wanted[0].sampling.post_sampling_probs
        return {"completion_probabilities": token_probabilities(self._model, given, post_sampling=post_sampling)}


def _only(paths: Sequence[str], given: dict[str, Any]) -> dict[str, Any]:
    """What `paths` name, each under its whole path; `a/b` is `b` of `a`. What is not there is left out."""
    found: dict[str, Any] = {}
    for path in paths:
        value: Any = given
        for key in path.split("/"):
            value = value.get(key, _MISSING) if isinstance(value, dict) else _MISSING
        if value is not _MISSING:
            found[path] = value
    return found


_MISSING = object()
