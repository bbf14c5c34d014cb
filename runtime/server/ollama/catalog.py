"""Which models there are, and what is known of them: `/api/tags`, `/api/ps`, `/api/show`, `/api/version`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from aiohttp import web

from runtime.chat.errors import TemplateFailed
from runtime.server.json import json_response
from runtime.server.keys import MODELS, SETTINGS, STARTED
from runtime.server.models import HostedModel
from runtime.server.ollama.answers import rfc3339
from runtime.server.ollama.fields import full_name, read_body
from runtime.server.refusals import BadRequest

VERSION = "0.33.0"
"""An Ollama that today's clients accept: they compare it with the least that they need, and cannot know loaf's own
number, which is in the `Server` header."""

_FOREVER = 100 * 365 * 86400
"""Seconds: Ollama, too, says of a model that is never unloaded that it expires in another century."""


class ShowRequest(msgspec.Struct):
    """The body of `/api/show`; `name` is what older clients call the model."""

    model: str | None = None
    name: str | None = None


async def version(_request: web.Request) -> web.Response:
    """Which Ollama this is like."""
    return json_response({"version": VERSION})


async def tags(request: web.Request) -> web.Response:
    """All models, under each of their names."""
    modified = rfc3339(request.app[STARTED])
    models = []
    for hosted in request.app[MODELS].all:
        more = {"modified_at": modified, "capabilities": await _capabilities(hosted)}
        models += [{**_entry(hosted, name), **more} for name in hosted.names]
    return json_response({"models": models})


async def ps(request: web.Request) -> web.Response:
    """Those that are loaded, and until when they are if nobody asks them."""
    models = []
    for hosted in request.app[MODELS].all:
        if hosted.engine.is_asleep:
            continue
        more = {
            "expires_at": rfc3339(time.time() + min(hosted.sleeper.seconds_left, _FOREVER)),
            "size_vram": 0,
            "context_length": hosted.context_length,
        }
        models.append({**_entry(hosted, hosted.name), **more})
    return json_response({"models": models})


async def show(request: web.Request) -> web.Response:
    """What is known of one model."""
    body = await read_body(request, ShowRequest)
    name = body.model or body.name
    if not name:
        raise BadRequest("model is required", "model")
    hosted = request.app[MODELS].find(name)
    facts = hosted.facts
    architecture = facts.architecture
    return json_response(
        {
            "license": facts.license,
            "modelfile": f"# The models of this file are fixed.\nFROM {full_name(hosted.name)}\n",
            "parameters": "",
            "template": hosted.template or "",
            "system": request.app[SETTINGS].system or "",
            "details": _details(hosted),
            "model_info": {
                "general.architecture": architecture,
                "general.parameter_count": facts.parameter_count,
                f"{architecture}.context_length": facts.n_ctx_train,
                f"{architecture}.embedding_length": facts.embedding_length,
                f"{architecture}.vocab_size": facts.vocabulary_size,
            },
            "capabilities": await _capabilities(hosted),
            "modified_at": rfc3339(request.app[STARTED]),
        }
    )


def _entry(hosted: HostedModel, name: str) -> dict[str, Any]:
    return {
        "name": full_name(name),
        "model": full_name(name),
        "size": hosted.served.size,
        "digest": hosted.served.digest,
        "details": _details(hosted),
    }


def _details(hosted: HostedModel) -> dict[str, Any]:
    facts = hosted.facts
    return {
        "parent_model": "",
        "format": "gguf",
        "family": facts.architecture,
        "families": [facts.architecture],
        "parameter_size": _human(facts.parameter_count),
        "quantization_level": facts.quantization,
    }


async def _capabilities(hosted: HostedModel) -> list[str]:
    """What can be asked of it, in Ollama's words. A thread reads the template, which takes a while the first time."""
    if hosted.engine.described().generator is None:
        return ["embedding"]
    words = ["completion", *(["insert"] if hosted.facts.infill else [])]
    words += [*(["vision"] if hosted.sees else []), *(["audio"] if hosted.hears else [])]
    try:
        prompts = await asyncio.to_thread(hosted.prompts)
    except TemplateFailed:
        return words
    return [*words, *(["tools"] if prompts.takes_tools else []), *(["thinking"] if prompts.thinks else [])]


def _human(count: int) -> str:
    """A number of parameters, as Ollama writes it: 1.9M, 7.6B."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if count >= size:
            return f"{count / size:.3g}{unit}" if count >= 100 * size else f"{count / size:.1f}{unit}"
    return str(count)
