"""From a request to generations, and from their events to an answer: what all dialects do in the same way.

Knows streams and whole answers. What they look like is the dialect's to know (`Writer`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import msgspec
from aiohttp import web

from runtime.engine.engine import Engine
from runtime.engine.gbnf.ways import check_gbnf
from runtime.engine.jobs import Generation
from runtime.engine.types import (
    Event,
    FinishedEvent,
    GenerationRequest,
    Probabilities,
    Sampling,
    TokenEvent,
)
from runtime.errors import LoafError
from runtime.server.access import asker_of, origin_of
from runtime.server.dialect import Failure
from runtime.server.errors import failure_of
from runtime.server.json import json_response
from runtime.server.logging import note_tokens
from runtime.server.refusals import BadRequest
from runtime.server.sampling import SamplingFields, stop_strings
from runtime.server.stream import Framing, Stream, aborting, streaming

MAX_ANSWERS = 128
"""How many answers one request may ask for: OpenAI's limit of `n`."""

_INT32 = 2**31 - 1


class LoraField(msgspec.Struct):
    """An adapter by its number, and how strongly it is applied."""

    id: int
    scale: float = 1.0


class GenerationFields(SamplingFields):
    """What llama-server takes in all its dialects, besides sampling. Null counts as absent."""

    n: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    cache_prompt: bool | None = None
    t_max_predict_ms: int | None = None
    n_keep: int | None = None
    id_slot: int | None = None
    lora: list[LoraField] | None = None


class Answer(msgspec.Struct, frozen=True):
    """A generation from its beginning to its end."""

    events: tuple[TokenEvent, ...]
    finished: FinishedEvent

    @property
    def text(self) -> str:
        return "".join([*(event.text for event in self.events), self.finished.text])

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(token for event in self.events for token in event.tokens)

    @property
    def probabilities(self) -> tuple[Probabilities, ...]:
        return tuple(one for event in self.events for one in event.probabilities)


Begun = Callable[[Sequence[Generation]], None]
"""Who wants to know of the generations of a request, to end them."""


class Writer(Protocol):
    """How one request's answers are written down.

    A stream is, for each answer, `opening`, what its events are as `token` and `last`, and once all have ended
    `closing`; or `failed`, where one cannot go on.
    """

    framing: Framing

    def opening(self, index: int) -> Iterable[Any]: ...
    def token(self, index: int, event: TokenEvent) -> Iterable[Any]: ...
    def last(self, index: int, event: FinishedEvent) -> Iterable[Any]: ...
    def closing(self, finished: Sequence[FinishedEvent]) -> Iterable[Any]: ...
    def failed(self, failure: Failure) -> Iterable[Any]: ...
    def whole(self, answers: Sequence[Answer]) -> Any: ...


def generation_request(
    fields: GenerationFields, prompt: tuple[int, ...], max_tokens: int | None, sampling: Sampling, engine: Engine
) -> GenerationRequest:
    """What the engine is asked for. Raises `BadRequest`."""
    limit = fields.t_max_predict_ms
    keep = fields.n_keep or 0
    if keep < -1:
        raise BadRequest("n_keep: must be -1 (the whole prompt) or more", "n_keep")
    return GenerationRequest(
        prompt=prompt,
        max_tokens=max_tokens,
        stop=stop_strings(fields.stop),
        sampling=sampling,
        reuse_prefix=fields.cache_prompt is not False,
        time_limit=limit / 1000 if limit is not None and limit > 0 else None,
        n_keep=min(keep, _INT32),
        slot=_slot(fields.id_slot, engine),
        scales=None if fields.lora is None else adapter_scales(fields.lora, len(engine.scales), "lora"),
    )


def _slot(number: int | None, engine: Engine) -> int | None:
    """The slot that a request is to run in: -1 for any, and those beyond the last begin anew, as in llama-server."""
    if number is None or number < 0:
        return None
    return number % engine.generator().settings.n_slots


def adapter_scales(given: Sequence[LoraField], n_adapters: int, field: str) -> tuple[float, ...]:
    """One scale for each adapter; those that are not named are off. Raises `BadRequest`."""
    scales = [0.0] * n_adapters
    for adapter in given:
        if not 0 <= adapter.id < n_adapters:
            raise BadRequest(f"{field}: there is no adapter {adapter.id}", field, "/lora-adapters lists them.")
        if not abs(adapter.scale) <= 1e6:  # neither too large nor not a number
            raise BadRequest(f"{field}: the scale must be a number", field)
        scales[adapter.id] = adapter.scale
    return tuple(scales)


async def answer(
    request: web.Request,
    engine: Engine,
    wanted: GenerationRequest,
    writer: Writer,
    *,
    streams: bool,
    n: int | None = None,
    begun: Begun | None = None,
) -> web.StreamResponse:
    """Generate `n` times, once unless said otherwise, and answer as `writer` does. The prompt is computed once."""
    return await answer_all(request, engine, repeated(wanted, n), writer, streams=streams, begun=begun)


async def answer_all(
    request: web.Request,
    engine: Engine,
    wanted: Sequence[GenerationRequest],
    writer: Writer,
    *,
    streams: bool,
    begun: Begun | None = None,
) -> web.StreamResponse:
    """Generate all that is `wanted`, at once, and answer as `writer` does, in this order. Raises `BadRequest`.

    `begun` is told when all of it has been queued.
    """
    if len(wanted) > MAX_ANSWERS:
        raise BadRequest(f"the request wants {len(wanted):,} answers, and at most {MAX_ANSWERS} can be had")
    if streams:
        await _check_grammars(wanted)
    generations = _submit(engine, wanted, request)
    async with aborting(generations):
        if begun is not None:
            begun(generations)
        if streams:
            return await _stream(request, generations, writer)
        answers = [await _collect(generation) for generation in generations]
        note_tokens(request, [one.finished for one in answers])
        return json_response(writer.whole(answers))


def repeated(wanted: GenerationRequest, n: int | None) -> list[GenerationRequest]:
    """`wanted` `n` times, once unless said otherwise. Raises `BadRequest`.

    Each has a seed of its own, one more than the one before, as llama-server has it, and only the first a slot that it
    must run in.
    """
    count = 1 if n is None else n
    if not 1 <= count <= MAX_ANSWERS:
        raise BadRequest(f"n: must be from 1 to {MAX_ANSWERS}", "n")
    seed = wanted.sampling.seed
    others = [msgspec.structs.replace(wanted, slot=None)] * (count - 1)
    if seed is not None:
        samplings = [msgspec.structs.replace(wanted.sampling, seed=seed + i) for i in range(1, count)]
        others = [msgspec.structs.replace(other, sampling=one) for other, one in zip(others, samplings, strict=True)]
    return [wanted, *others]


async def _check_grammars(wanted: Sequence[GenerationRequest]) -> None:
    """Say before the headers are sent what the engine would say of a grammar. Raises `GrammarInvalid`, …TooCostly."""
    for grammar in {one.sampling.grammar for one in wanted} - {""}:
        await asyncio.to_thread(check_gbnf, grammar)


def _submit(engine: Engine, wanted: Sequence[GenerationRequest], request: web.Request) -> list[Generation]:
    """All of them or none. Raises what the engine does."""
    asker, origin = asker_of(request), origin_of(request)
    generations: list[Generation] = []
    try:
        for one in wanted:
            generations.append(engine.submit(one, asker, origin))
    except LoafError:
        for generation in generations:
            generation.abort()
        raise
    return generations


async def _stream(request: web.Request, generations: Sequence[Generation], writer: Writer) -> web.StreamResponse:
    async with streaming(request, writer.framing) as out:
        try:
            last = await _send_as_they_come(request, out, generations, writer)
        except LoafError as error:
            last = writer.failed(failure_of(error))
        await out.end(last)
    return out.response


async def _send_as_they_come(
    request: web.Request, out: Stream, generations: Sequence[Generation], writer: Writer
) -> Iterable[Any]:
    """All events of all, as `writer` writes them; returns the last objects. Raises what one of the generations does."""
    begun: set[int] = set()
    finished: dict[int, FinishedEvent] = {}
    objects: list[Any] = []
    async for index, burst in _interleaved(generations):
        objects = []
        if index not in begun:
            begun.add(index)
            objects += writer.opening(index)
        for event in burst:
            if isinstance(event, FinishedEvent):
                finished[index] = event
                objects += writer.last(index, event)
            else:
                objects += writer.token(index, event)
        if len(finished) < len(generations):
            await out.send_all(objects)
    note_tokens(request, finished.values())
    return [*objects, *writer.closing([finished[index] for index in sorted(finished)])]


async def _collect(generation: Generation) -> Answer:
    events: list[TokenEvent] = []
    async for event in generation:
        if isinstance(event, FinishedEvent):
            return Answer(tuple(events), event)
        events.append(event)
    raise AssertionError("a generation ends with a FinishedEvent")


async def _interleaved(generations: Sequence[Generation]) -> AsyncIterator[tuple[int, list[Event]]]:
    """The events of all, each burst with its generation's number, as they come. Raises what one of them raises."""
    if len(generations) == 1:
        async for burst in generations[0].bursts():
            yield 0, burst
        return
    bursts: asyncio.Queue[tuple[int, list[Event] | LoafError | None]] = asyncio.Queue()

    async def pump(index: int, generation: Generation) -> None:
        try:
            async for burst in generation.bursts():
                bursts.put_nowait((index, burst))
            bursts.put_nowait((index, None))
        except LoafError as error:
            bursts.put_nowait((index, error))

    tasks = [asyncio.create_task(pump(index, generation)) for index, generation in enumerate(generations)]
    try:
        running = len(tasks)
        while running:
            index, item = await bursts.get()
            if item is None:
                running -= 1
            elif isinstance(item, LoafError):
                raise item
            else:
                yield index, item
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
