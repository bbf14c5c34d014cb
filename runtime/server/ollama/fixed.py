"""What Ollama does with its store of models, and a file that holds its own cannot: each is answered with the reason.

Pulling a model that answers succeeds, since many programs pull what they use before they use it (Codex with --oss pulls
gpt-oss:20b, whatever there is): where one model answers to any name, all can be pulled.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from runtime.server.json import json_response
from runtime.server.keys import MODELS
from runtime.server.models import Models
from runtime.server.ollama.fields import read_body
from runtime.server.refusals import BadRequest, ModelsFixed, UnknownModel
from runtime.server.stream import LINES, streaming


class ModelRequest(msgspec.Struct):
    """Which model; `name` is what older clients call it."""

    model: str | None = None
    name: str | None = None
    stream: bool | None = None


class CopyRequest(msgspec.Struct):
    """Which model is to be copied, and what the copy is to be called."""

    source: str
    destination: str


async def pull(request: web.Request) -> web.StreamResponse:
    """Say that a model is there which answers to the name. Raises `ModelsFixed` where none does."""
    body = await read_body(request, ModelRequest)
    name = _name(body)
    try:
        steps = _steps(request.app[MODELS], name)
    except UnknownModel as error:
        raise _fixed(request, f"pull '{name}'") from error
    if body.stream is False:
        return json_response(steps[-1])
    async with streaming(request, LINES) as out:
        await out.send_all(steps)
    return out.response


async def push(request: web.Request) -> web.StreamResponse:
    """Send a model to a registry, which is refused. Raises `ModelsFixed`."""
    raise _fixed(request, f"push '{_name(await read_body(request, ModelRequest))}'")


async def create(request: web.Request) -> web.StreamResponse:
    """Make a model of another, which is refused. Raises `ModelsFixed`."""
    raise _fixed(request, f"create '{_name(await read_body(request, ModelRequest))}'")


async def delete(request: web.Request) -> web.StreamResponse:
    """Delete a model, which is refused. Raises `ModelsFixed`."""
    raise _fixed(request, f"delete '{_name(await read_body(request, ModelRequest))}'")


async def copy(request: web.Request) -> web.StreamResponse:
    """Give a model another name, which is refused. Raises `ModelsFixed`."""
    raise _fixed(request, f"copy '{(await read_body(request, CopyRequest)).source}'")


async def find_blob(_request: web.Request) -> web.StreamResponse:
    """Look for a part of a model; there is none."""
    raise web.HTTPNotFound


async def send_blob(request: web.Request) -> web.StreamResponse:
    """Take in a part of a model, which is refused without reading it. Raises `ModelsFixed`."""
    raise _fixed(request, "take in a file")


def _name(body: ModelRequest) -> str:
    name = body.model or body.name
    if not name:
        raise BadRequest("model is required", "model")
    return name


def _steps(models: Models, name: str) -> list[dict[str, str]]:
    """What a pull of `name` comes to. Raises `UnknownModel`, and what loading raises where no model has that name."""
    began, ended = {"status": "pulling manifest"}, {"status": "success"}
    try:
        models.named(name)
    except UnknownModel:
        return [began, {"status": f"this file's {models.choose_generator(name).name} answers to {name}"}, ended]
    return [began, ended]


def _fixed(request: web.Request, action: str) -> ModelsFixed:
    return ModelsFixed(action, [model.name for model in request.app[MODELS].all])
