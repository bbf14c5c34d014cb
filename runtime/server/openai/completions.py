"""`/v1/completions`, OpenAI's older way to continue a text: the request. `completion_writer.py` writes the answer."""

from __future__ import annotations

import msgspec
from aiohttp import web

from runtime.engine.backend import Model
from runtime.engine.types import GenerationRequest
from runtime.server.beside import beside_the_loop
from runtime.server.generating import MAX_ANSWERS, GenerationFields, Writer, answer_all, generation_request, repeated
from runtime.server.json import decode
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.openai.completion_writer import CompletionShape, CompletionWriter
from runtime.server.openai.limits import StreamOptions, top_logprobs, with_logprobs
from runtime.server.openai.verbose import is_verbose, verbosely
from runtime.server.prompts import Prompts, prompt_tokens, token_text
from runtime.server.refusals import BadRequest
from runtime.server.sampling import resolve_sampling, token_limit
from runtime.settings import Settings


class CompletionRequest(GenerationFields):
    """The body of `/v1/completions`. There are `n` answers to each prompt, the best of `best_of`; with a `suffix`, what
    belongs between the two."""

    prompt: Prompts = ""
    model: str | None = None
    max_tokens: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None
    stream_options: StreamOptions | None = None
    return_progress: bool | None = None
    verbose: bool | None = None


class _Job(msgspec.Struct, frozen=True):
    """What the engine is asked for, and what the answers look like."""

    wanted: list[GenerationRequest]
    shape: CompletionShape


async def completions(request: web.Request) -> web.StreamResponse:
    """Continue texts."""
    body = await decode(request, CompletionRequest)
    hosted = request.app[MODELS].find_generator(body.model)
    settings = request.app[SETTINGS]
    job = await beside_the_loop(request, lambda: _job(body, hosted, settings), takes_long=body.json_schema is not None)
    writer: Writer = CompletionWriter(hosted.loaded(), hosted.name, job.shape)
    streams = bool(body.stream)
    if is_verbose(body.verbose, settings):
        more = await beside_the_loop(request, lambda: verbosely(hosted, job.wanted, streams=streams, in_parts=True))
        writer = more(writer)
    return await answer_all(request, hosted.engine, job.wanted, writer, streams=streams)


def _job(body: CompletionRequest, hosted: HostedModel, settings: Settings) -> _Job:
    _must_be_possible(body)
    model = hosted.loaded()
    n = 1 if body.n is None else body.n
    best_of = n if body.best_of is None else body.best_of
    top = None if body.logprobs is None else top_logprobs(body.logprobs, "logprobs")
    sampling = with_logprobs(
        resolve_sampling(body, settings.sampling, model), 0 if top is None and best_of > n else top
    )
    max_tokens = token_limit(body.max_tokens, settings.max_tokens, "max_tokens")
    prompts = prompt_tokens(body.prompt, model, "prompt", at_most=MAX_ANSWERS, is_whole=not body.suffix)
    whole = [_around_gap(prompt, body.suffix, model) for prompt in prompts] if body.suffix else prompts
    reports = bool(body.stream and body.return_progress)
    wanted = [
        msgspec.structs.replace(
            generation_request(body, prompt, max_tokens, sampling, hosted.engine), reports_progress=reports
        )
        for prompt in whole
    ]
    shape = CompletionShape(
        n=n,
        best_of=best_of,
        top_logprobs=top,
        echoes=tuple(_text(hosted, prompt) if body.echo else "" for prompt in prompts),
        shows_usage=body.stream_options is not None and bool(body.stream_options.include_usage),
    )
    return _Job([again for one in wanted for again in repeated(one, best_of)], shape)


def _must_be_possible(body: CompletionRequest) -> None:
    if body.echo and body.logprobs is not None:
        raise BadRequest("echo: the prompt has no logprobs here, only the answer has", "echo", "Leave one of them out.")
    if body.best_of is not None and body.best_of < (1 if body.n is None else body.n):
        raise BadRequest("best_of: must be n or more", "best_of")
    if body.stream and body.best_of is not None and body.best_of != (body.n or 1):
        raise BadRequest(
            "best_of: which one is best is known at the end, so it cannot be streamed", "best_of", "Leave stream out."
        )


def _around_gap(prefix: tuple[int, ...], suffix: str, model: Model) -> tuple[int, ...]:
    """Raises `BadRequest` where the model cannot fill gaps."""
    marks = model.facts.infill
    if marks is None:
        raise BadRequest(
            "suffix: this model cannot fill gaps: its vocabulary has no tokens for it",
            "suffix",
            "Leave it out, or ask a model for code.",
        )
    return marks.prompt(prefix, model.tokenize(suffix, add_special=False, parse_special=False))


def _text(hosted: HostedModel, prompt: tuple[int, ...]) -> str:
    """A prompt as it was sent: without the BOS that the tokenizer put before it."""
    model = hosted.loaded()
    text = token_text(prompt, model)
    return text.removeprefix(model.facts.bos) if model.facts.adds_bos else text
