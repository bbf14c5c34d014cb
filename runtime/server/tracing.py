"""What a request is called: in its answer and in the log, by the name that whoever asks has for it, or one of ours.

Knows `X-Request-Id` and W3C's Trace Context (https://www.w3.org/TR/trace-context/; `traceresponse` is of its level 2).
"""

from __future__ import annotations

import random
import re

import msgspec
from aiohttp import web

REQUEST_ID = "X-Request-Id"
_NAME = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)
_PARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")


class Trace(msgspec.Struct, frozen=True):
    """`id` is the whole trace's, `span` what is done here, `flags` are handed on."""

    id: str
    span: str
    flags: str


class Named(msgspec.Struct, frozen=True):
    """A request's name, and the trace that it belongs to, if any."""

    id: str
    trace: Trace | None


_NAMED = web.RequestKey("named", Named)


def named(request: web.Request) -> Named:
    """What the request is called, the same each time."""
    known: Named | None = request.get(_NAMED)
    if known is None:
        given = request.headers.get(REQUEST_ID, "")
        known = Named(given if _NAME.fullmatch(given) else _drawn(), _trace(request))
        request[_NAMED] = known
    return known


async def name_in_answer(request: web.Request, response: web.StreamResponse) -> None:
    """A hook of aiohttp's, before headers are sent."""
    name = named(request)
    response.headers[REQUEST_ID] = name.id
    if name.trace is not None:
        response.headers["traceresponse"] = f"00-{name.trace.id}-{name.trace.span}-{name.trace.flags}"


def _trace(request: web.Request) -> Trace | None:
    match = _PARENT.fullmatch(request.headers.get("traceparent", ""))
    return Trace(match[1], _drawn(), match[2]) if match else None


def _drawn() -> str:
    """16 digits, not all of them 0, which no span may be.

    No secret, so not the system's: to ask that lets threads in, which may compute for milliseconds.
    """
    return f"{random.randint(1, 0xFFFF_FFFF_FFFF_FFFF):016x}"
