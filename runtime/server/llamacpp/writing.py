"""How `/completion` and `/infill` answer.

A stream holds `data: {…}` events only: no `[DONE]`, no pings, no event names, because its clients take every line
for text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from runtime.engine.types import FinishedEvent, GenerationRequest, Progress, TokenEvent
from runtime.server.completion_objects import CompletionObjects
from runtime.server.dialect import Failure, error_object
from runtime.server.generating import Answer
from runtime.server.models import HostedModel
from runtime.server.stream import EVENTS
from runtime.server.timings import prompt_progress, timings


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
        self._details = details
        self._objects = CompletionObjects(
            hosted, wanted, prompts, streams=details.streams, timings_per_token=details.timings_per_token
        )

    def opening(self, index: int) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def token(self, index: int, event: TokenEvent) -> Iterable[Any]:
        if not event.tokens and not self._details.prompt_progress:
            return ()
        progress = self._progress(event.progress, of_prompt=not event.tokens)
        return ({**self._objects.part(index, event), **progress},)

    def last(self, index: int, event: FinishedEvent) -> Iterable[Any]:
        return (self._chosen(self._objects.last(index, event)),)

    def closing(self, finished: Sequence[FinishedEvent]) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def failed(self, failure: Failure) -> Iterable[Any]:
        return (error_object(failure),)

    def whole(self, answers: Sequence[Answer]) -> Any:
        """One object, or a list of them where more than one answer was asked for."""
        finals = [self._whole_one(index, one) for index, one in enumerate(answers)]
        return finals if len(finals) > 1 else finals[0]

    def _whole_one(self, index: int, one: Answer) -> dict[str, Any]:
        return self._chosen(self._objects.whole(index, one, tokens=self._details.tokens))

    def _chosen(self, final: dict[str, Any]) -> dict[str, Any]:
        return final if self._details.fields is None else _only(self._details.fields, final)

    def _progress(self, progress: Progress | None, *, of_prompt: bool) -> dict[str, Any]:
        """`prompt_progress` while the prompt is computed, and `timings` where every event is to have them."""
        if progress is None:
            return {}
        written: dict[str, Any] = {"timings": timings(progress.usage)} if self._details.timings_per_token else {}
        return written | prompt_progress(progress) if of_prompt else written


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
