"""JSON in and out.

Out: ASCII only, because clients split streams at U+2028 and U+0085 as if they were line ends.
In: parsed straight into typed structures; what they do not take is looked at once more (`lenient/`), and what is
wrong is named by its place.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from runtime.server.beside import LARGE, beside_the_loop
from runtime.server.json_structure import check_structure
from runtime.server.refusals import BadRequest

T = TypeVar("T")


def encode(value: Any) -> bytes:
    """One line of ASCII. Numbers that JSON does not have (NaN) become null."""
    try:
        data = msgspec.json.encode(value)  # ten times faster, for every token of every stream
    except UnicodeEncodeError:  # half of a surrogate pair, which only escaped is anything at all
        return json.dumps(value, separators=(",", ":")).encode("ascii")
    if data.isascii():
        return data
    return json.dumps(json.loads(data), separators=(",", ":")).encode("ascii")


def json_response(value: Any, *, status: int = 200) -> web.Response:
    """The whole answer."""
    return web.Response(body=encode(value), status=status, content_type="application/json", charset="utf-8")


async def decode(request: web.Request, type_: type[T]) -> T:
    """The request's body as `type_`, whatever content type it claims. Raises `BadRequest`."""
    body = await request.read()
    if len(body) > LARGE:
        return await beside_the_loop(request, lambda: _decode_large(body, type_))
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(body, type=type_)
    return await beside_the_loop(request, lambda: _decode_leniently(body, type_))


def _decode_large(body: bytes, type_: type[T]) -> T:
    check_structure(body)
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(body, type=type_)
    return _decode_leniently(body, type_)


def _decode_leniently(body: bytes, type_: type[T]) -> T:
    from runtime.server.lenient.bodies import decode_leniently  # most programs never need it

    try:
        return decode_leniently(body, type_)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        missing = _MISSING.fullmatch(message)
        field = ".".join(filter(None, (place.rstrip("`").lstrip("."), missing[1] if missing else "")))
        message = "is missing" if missing else message
        raise BadRequest(f"{field}: {message}" if field else message, field) from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}", hint="Send a JSON object.") from error


_MISSING = re.compile("Object missing required field `(.*)`")
"""What msgspec says of it, whose place is the object's."""
