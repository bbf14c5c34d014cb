"""`__verbose`: what llama-server tells in OpenAI's answers besides them, for people who look for what went wrong.

With `--verbose`, or `verbose` in a body: the prompt as text, the settings, and the answer before it was taken apart, as
`/completion` has it. Refuses to know what it is put beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from runtime.engine.types import FinishedEvent, GenerationRequest, TokenEvent
from runtime.server.completion_objects import CompletionObjects
from runtime.server.dialect import Failure
from runtime.server.generating import Answer, Writer
from runtime.server.models import HostedModel
from runtime.server.prompts import token_text
from runtime.settings import Settings

_FIELD = "__verbose"


def is_verbose(given: bool | None, settings: Settings) -> bool:
    """Whether a request that says `given` is to be told more."""
    return settings.log.verbose if given is None else given


def verbosely(
    hosted: HostedModel, wanted: Sequence[GenerationRequest], *, streams: bool, in_parts: bool
) -> Callable[[Writer], Writer]:
    """What makes a writer tell more of the answers to `wanted`. `in_parts`: in all pieces of a stream, not only at its
    end. Takes as long as the prompts are, since it makes text of them.
    """
    n_ctx = hosted.engine.generator().n_ctx  # the engine refuses longer ones
    prompts = {one.prompt: "" for one in wanted}
    for prompt in prompts:
        if len(prompt) < n_ctx:
            prompts[prompt] = token_text(prompt, hosted.loaded())
    objects = CompletionObjects(hosted, wanted, [prompts[one.prompt] for one in wanted], streams=streams)
    return lambda writer: _Verbose(writer, objects, in_parts=in_parts)


class _Verbose:
    """Where llama-server puts it: into the first object of those that a stream ends with, and beside the first of
    several whole answers."""

    def __init__(self, writer: Writer, objects: CompletionObjects, *, in_parts: bool) -> None:
        self.framing = writer.framing
        self._writer = writer
        self._objects = objects
        self._in_parts = in_parts

    def opening(self, index: int) -> Iterable[Any]:
        return self._writer.opening(index)

    def token(self, index: int, event: TokenEvent) -> Iterable[Any]:
        part = self._objects.part(index, event)
        written = self._writer.token(index, event)
        return [{**one, _FIELD: part} for one in written] if self._in_parts else written

    def last(self, index: int, event: FinishedEvent) -> Iterable[Any]:
        first, *others = self._writer.last(index, event)
        return [{**first, _FIELD: self._objects.last(index, event)}, *others]

    def closing(self, finished: Sequence[FinishedEvent]) -> Iterable[Any]:
        return self._writer.closing(finished)

    def failed(self, failure: Failure) -> Iterable[Any]:
        return self._writer.failed(failure)

    def whole(self, answers: Sequence[Answer]) -> Any:
        return {**self._writer.whole(answers), _FIELD: self._objects.whole(0, answers[0], tokens=True)}
