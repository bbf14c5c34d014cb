"""What the bodies of generate and chat have in common, and what the engine is asked for because of it.

Refuses to know prompts and conversations.
"""

from __future__ import annotations

import math
import re
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from runtime.engine.types import GenerationRequest
from runtime.server.generating import generation_request
from runtime.server.json import decode
from runtime.server.lenient.efforts import effort, is_no_effort
from runtime.server.models import HostedModel
from runtime.server.ollama.options import Options, default_sampling, generation_fields, max_tokens
from runtime.server.refusals import BadRequest
from runtime.server.sampling import resolve_sampling
from runtime.settings import Settings

T = TypeVar("T")

_MAX_TOP_LOGPROBS = 20
"""Ollama's limit."""

_DURATION = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")
"""Go's `time.ParseDuration`, and a number alone, as clients write the seconds that they may be sent as, too."""


_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 10 * 365 * 86_400
"""Seconds: what is longer is never."""


class AnswerFields(msgspec.Struct):
    """What both bodies say of the answer. Null counts as absent."""

    model: str | None = None
    stream: bool | None = None
    format: Any = None
    options: Options | None = None
    think: bool | str | None = None
    keep_alive: int | float | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


async def read_body(request: web.Request, type_: type[T]) -> T:
    """As `decode`, with Ollama's word for no body at all. Raises `BadRequest`."""
    if not await request.read():
        raise BadRequest("missing request body")
    return await decode(request, type_)


def answering_name(body: AnswerFields, hosted: HostedModel) -> str:
    """What the answer calls the model: as the client did."""
    return body.model or full_name(hosted.name)


def full_name(name: str) -> str:
    """With a tag, as Ollama lists models: its clients look for the name and a colon."""
    return name if ":" in name else f"{name}:latest"


def check_fields(body: AnswerFields, name: str, hosted: HostedModel, task: str) -> None:
    """Raises `BadRequest` for what cannot be, or cannot be had of this model; `task` is what is asked of it."""
    if not hosted.generates:
        raise BadRequest(f'"{name}" does not support {task}', "model", "/api/tags lists what others there are.")
    if not 0 <= (body.top_logprobs or 0) <= _MAX_TOP_LOGPROBS:
        raise BadRequest(f"top_logprobs must be between 0 and {_MAX_TOP_LOGPROBS}", "top_logprobs")
    wanted_schema(body.format)
    keep(hosted, body.keep_alive)


def wanted_schema(given: Any) -> Any:
    """The JSON schema that a `format` stands for, None for text. Raises `BadRequest`."""
    if given is None or given == "":
        return None
    if given == "json":
        return {"type": "object"}
    if not isinstance(given, dict):
        raise BadRequest(f'invalid format: {given!r}; expected "json" or a valid JSON Schema object', "format")
    return given


def keep(hosted: HostedModel, keep_alive: int | float | str | None) -> None:
    """Have the model kept loaded for so long after this request, where it says so. Raises `BadRequest`."""
    if keep_alive is not None:
        hosted.sleeper.keep(seconds_kept(keep_alive))


def unloads(hosted: HostedModel, keep_alive: int | float | str | None) -> bool:
    """Whether a request that asks nothing ends the model's stay; else it has it loaded. Raises `ModelAsleep`."""
    if keep_alive is not None and not seconds_kept(keep_alive):
        hosted.loaded()  # so that its end is the end of a use
        return True
    hosted.load()
    return False


def seconds_kept(keep_alive: int | float | str) -> float:
    """What clients write for how long; infinity for what is negative. Raises `BadRequest` for no duration."""
    if isinstance(keep_alive, str):
        if _DURATION.fullmatch(keep_alive) is None:
            raise BadRequest(f'keep_alive: invalid duration "{keep_alive}"', "keep_alive", "Write it as 5m or 300.")
        parts = _PART.findall(keep_alive)
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        seconds = -seconds if keep_alive.startswith("-") else seconds
    else:
        seconds = float(keep_alive)
    return seconds if 0 <= seconds < _LONGEST else math.inf


def thinking(body: AnswerFields, name: str, *, can_think: bool) -> tuple[bool | None, str | None]:
    """Whether to think, and how much; None is as the template has it. Raises `BadRequest` where it cannot."""
    if body.think is None or body.think == "":
        return None, None
    if body.think is False or (isinstance(body.think, str) and is_no_effort(body.think)):
        return False, None
    if not can_think:
        raise BadRequest(f'"{name}" does not support thinking', "think", "Leave think out.")
    return True, effort(body.think) if isinstance(body.think, str) and body.think != "true" else None


def wanted_generation(body: AnswerFields, hosted: HostedModel, settings: Settings) -> GenerationRequest:
    """What the engine is asked for, still without a prompt. Raises `BadRequest`."""
    options = body.options or Options()
    fields = generation_fields(options, max(body.top_logprobs or 0, 1) if body.logprobs else 0)
    sampling = resolve_sampling(fields, default_sampling(settings.sampling), hosted.loaded())
    return generation_request(fields, (), max_tokens(options, settings.max_tokens), sampling, hosted.engine)
