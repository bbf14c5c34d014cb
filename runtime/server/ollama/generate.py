"""`/api/generate`: one answer to a prompt, in a conversation of one turn or to the bare text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from runtime.chat.answer import AnswerParser, ContentDelta, Delta, PlainParser, ReasoningDelta
from runtime.chat.conversation import Conversation
from runtime.chat.job import chat_job
from runtime.chat.messages import Message
from runtime.engine.backend import Model
from runtime.engine.pieces import texts_only
from runtime.engine.types import FinishedEvent, FinishReason, GenerationRequest, Probabilities, TokenEvent
from runtime.media.given import Gathering, joined
from runtime.server.beside import beside_the_loop
from runtime.server.dialect import Failure
from runtime.server.generating import Answer, answer
from runtime.server.json import json_response
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.ollama.answers import ending, head, logprobs, without_text
from runtime.server.ollama.fields import (
    AnswerFields,
    answering_name,
    check_fields,
    read_body,
    thinking,
    unloads,
    wanted_generation,
    wanted_schema,
)
from runtime.server.ollama.messages import pictures
from runtime.server.ollama.template import render
from runtime.server.refusals import BadRequest
from runtime.server.sampling import schema_grammar
from runtime.server.stream import LINES
from runtime.settings import Settings


class GenerateRequest(AnswerFields):
    """The body of `/api/generate`. `context` is the tokens of what was said before, as an answer brings them."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[int] | None = None
    raw: bool | None = None
    images: list[str] | None = None


class _Wanted(msgspec.Struct, frozen=True):
    """What the engine is asked for, and how the text it answers with is taken apart."""

    request: GenerationRequest
    parser: Callable[[], AnswerParser]


async def generate(request: web.Request) -> web.StreamResponse:
    """Answer a prompt; without one, say that the model is loaded, or was unloaded."""
    began = time.monotonic()
    body = await read_body(request, GenerateRequest)
    hosted = request.app[MODELS].choose_generator(body.model)
    name = answering_name(body, hosted)
    check_fields(body, name, hosted, "generate")
    if not body.prompt:
        return json_response({**without_text(name, unloads=unloads(hosted, body.keep_alive)), "response": ""})
    settings = request.app[SETTINGS]
    wanted = await beside_the_loop(
        request, lambda: _wanted(body, name, hosted, settings), takes_long=isinstance(body.format, dict)
    )
    writer = _Writer(body, name, hosted.loaded(), wanted, began)
    return await answer(request, hosted.engine, wanted.request, writer, streams=body.stream is not False)


def _wanted(body: GenerateRequest, name: str, hosted: HostedModel, settings: Settings) -> _Wanted:
    if body.raw and (body.template or body.system or body.context):
        raise BadRequest("raw mode does not support template, system, or context", "raw", "Leave them out, or raw.")
    if body.raw or body.template or body.suffix:
        wanted = _of_text(body, name, hosted, settings)
    else:
        wanted = _of_conversation(body, name, hosted, settings)
    return _Wanted(_after_context(body.context or [], wanted.request, hosted.loaded()), wanted.parser)


def _of_text(body: GenerateRequest, name: str, hosted: HostedModel, settings: Settings) -> _Wanted:
    """The bare text; the answer is taken as it comes. Raises `BadRequest`."""
    if body.images:
        raise BadRequest("images: belong to a conversation; leave out raw, template and suffix", "images")
    wanted = wanted_generation(body, hosted, settings)
    schema = wanted_schema(body.format)
    if schema is not None:
        sampling = msgspec.structs.replace(wanted.sampling, grammar=schema_grammar(schema, "format", False))
        wanted = msgspec.structs.replace(wanted, sampling=sampling)
    prompt = _text_tokens(body, name, hosted.loaded(), settings)
    return _Wanted(msgspec.structs.replace(wanted, prompt=prompt), PlainParser)


def _text_tokens(body: GenerateRequest, name: str, model: Model, settings: Settings) -> tuple[int, ...]:
    """The prompt as it is, in the client's template, or before a gap. Raises `BadRequest`."""
    text = body.prompt or ""
    if body.template:
        text = render(body.template, {"System": body.system or settings.system or "", "Prompt": text})
    elif body.suffix and not body.raw:
        return _around_gap(text, body.suffix, name, model)
    return model.tokenize(text, add_special=True, parse_special=True)


def _around_gap(above: str, below: str, name: str, model: Model) -> tuple[int, ...]:
    marks = model.facts.infill
    if marks is None:
        raise BadRequest(f'"{name}" does not support insert', "suffix", "Leave suffix out, or ask a model for code.")
    above_tokens = model.tokenize(above, add_special=False, parse_special=False)
    below_tokens = model.tokenize(below, add_special=False, parse_special=False)
    return marks.prompt(above_tokens, below_tokens)


def _of_conversation(body: GenerateRequest, name: str, hosted: HostedModel, settings: Settings) -> _Wanted:
    thinks, effort = thinking(body, name, can_think=hosted.prompts().thinks)
    turns = [Message("system", body.system)] if body.system else []
    media = Gathering()
    shown = pictures("images", body.images or (), media, is_now=True)
    conversation = Conversation(
        messages=(*turns, Message("user", joined((*shown, body.prompt or None)))),
        media=media.given,
        schema=wanted_schema(body.format),
        thinks=thinks,
        effort=effort,
    )
    job = chat_job(hosted, conversation, wanted_generation(body, hosted, settings))
    return _Wanted(job.request, job.prepared.parser)


def _after_context(context: list[int], wanted: GenerationRequest, model: Model) -> GenerationRequest:
    """The prompt after the context, with one BOS only. Raises `BadRequest` for tokens that there are not."""
    prompt = wanted.prompt
    for token in context:
        if not 0 <= token < model.facts.vocabulary_size:
            raise BadRequest(
                f"context: there is no token {token}", "context", "Send what an answer of this model brought."
            )
    if context and model.facts.adds_bos:
        prompt = prompt[1:]
    moved = len(context) + len(prompt) - len(wanted.prompt)
    pieces = tuple(msgspec.structs.replace(placed, start=placed.start + moved) for placed in wanted.pieces)
    return msgspec.structs.replace(wanted, prompt=(*context, *prompt), pieces=pieces)


class _Writer:
    """How `/api/generate` answers."""

    framing = LINES

    def __init__(self, body: GenerateRequest, name: str, model: Model, wanted: _Wanted, began: float) -> None:
        self._body = body
        self._name = name
        self._model = model
        self._prompt = wanted.request.prompt
        self._parser = wanted.parser()
        self._began = began
        self._tokens: list[int] = []

    def opening(self, index: int) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def token(self, index: int, event: TokenEvent) -> Iterable[Any]:  # noqa: ARG002
        self._tokens += event.tokens
        return self._chunk(self._parser.push(event.text), event.probabilities)

    def last(self, index: int, event: FinishedEvent) -> Iterable[Any]:  # noqa: ARG002
        yield from self._chunk((*self._parser.push(event.text), *self._parser.finish()), ())
        yield {**head(self._name), "response": "", **ending(event, self._began), **self._context(event)}

    def closing(self, finished: Sequence[FinishedEvent]) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def failed(self, failure: Failure) -> Iterable[Any]:
        return ({"error": failure.message},)

    def whole(self, answers: Sequence[Answer]) -> Any:
        one = answers[0]
        self._tokens += one.tokens
        return {
            **head(self._name),
            **_texts((*self._parser.push(one.text), *self._parser.finish())),
            **ending(one.finished, self._began),
            **self._context(one.finished),
            **self._logprobs(one.probabilities),
        }

    def _chunk(self, deltas: Sequence[Delta], probabilities: tuple[Probabilities, ...]) -> Iterable[Any]:
        given = self._logprobs(probabilities)
        if deltas or given:
            yield {**head(self._name), **_texts(deltas), "done": False, **given}

    def _context(self, event: FinishedEvent) -> dict[str, Any]:
        """The tokens of all that was said, for the next request: the end of the turn too, and no pictures."""
        if self._body.raw:
            return {}
        eos = self._model.facts.eos if event.reason is FinishReason.END_OF_TEXT else ""
        end = self._model.tokenize(eos, add_special=False, parse_special=True) if eos else ()
        return {"context": [*texts_only(self._prompt), *self._tokens, *end]}

    def _logprobs(self, given: tuple[Probabilities, ...]) -> dict[str, Any]:
        return logprobs(self._model, given, self._body.top_logprobs or 0)


def _texts(deltas: Sequence[Delta]) -> dict[str, Any]:
    """`response`, and `thinking` where there is some."""
    response = "".join(delta.text for delta in deltas if isinstance(delta, ContentDelta))
    thoughts = "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))
    return {"response": response, "thinking": thoughts} if thoughts else {"response": response}
