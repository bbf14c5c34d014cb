"""What a dialect is to the application: its routes, its form of an error, and which paths are its own.

Refuses to know any of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

FORM = "multipart/form-data"
"""The content type of forms with files (RFC 7578)."""


class Overflow(msgspec.Struct, frozen=True):
    """A prompt that is too long for the context, both in tokens. Clients wait for it to be told in their own words."""

    n_prompt: int
    n_ctx: int


class Failure(msgspec.Struct, frozen=True):
    """What went wrong with a request, before a dialect writes it down.

    `kind` is llama-server's `type`; `details` are further fields that a program may want to read. `overflow` where the
    context is too small.
    """

    status: int
    kind: str
    message: str
    details: dict[str, Any] = {}
    retry_after: int | None = None
    """Seconds until trying again makes sense."""
    overflow: Overflow | None = None


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Route(msgspec.Struct, frozen=True):
    """What answers on each of `paths`; `body` is the type of what is sent there. `/openapi.json` is made of these.

    `takes` is the content type of the body, `answer` that of what comes back, unless a `stream` that is a field of the
    body was asked for.
    `example` is a body that the route takes, as short as it can be and still do something.
    """

    method: str
    paths: tuple[str, ...]
    handler: Handler
    body: Any = None
    takes: str = "application/json"
    answer: str = "application/json"
    example: Any = None


class Dialect(msgspec.Struct, frozen=True):
    """`error` makes the body of an answer that says what failed, on paths below `prefixes`: the longest one counts.

    `stream` is the content type of its streams.
    """

    name: str
    routes: tuple[Route, ...]
    error: Callable[[Failure], Any]
    prefixes: tuple[str, ...] = ()
    stream: str = "text/event-stream"


def error_object(failure: Failure) -> Any:
    """llama-server's form, which OpenAI's is a kind of: `{"error": {"code", "message", "type", …}}`."""
    return {"error": {"code": failure.status, "message": failure.message, "type": failure.kind, **failure.details}}
