"""What aiohttp imports, and a server that speaks no websockets and keeps no files does not need, or not to begin with.

Knows what in aiohttp's modules is used while they are imported, and what is only called. Refuses to know routes.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from runtime.machine.lean import CalledStandIn, StandIn, enter_package, standing_in


def import_web() -> None:
    """Import `aiohttp.web`."""
    enter_package("aiohttp", __version__="")  # of which only `aiohttp.web` is used; app.py names us in its place
    with standing_in(
        StandIn("attr", s=_record),
        StandIn("typing_extensions", TypeAlias=typing.TypeAlias, **_type_variables()),
        StandIn("argparse", "ArgumentParser"),  # aiohttp's own command line
        StandIn("hashlib"),  # files in folders
        StandIn("html", "escape"),  # pages for errors, which are ours (`errors.py`)
        StandIn("urllib.request", "getproxies", "proxy_bypass"),  # its client
        StandIn("email.message", EmailMessage=object),  # what a Content-Type says: below
        StandIn("email.parser", "HeaderParser"),
        StandIn("email.policy", "HTTP"),
        StandIn("email.utils", "parsedate"),
        StandIn("idna", "encode", "decode"),  # addresses that are not ASCII
        StandIn("aiohttp.web_fileresponse", "FileResponse"),
        StandIn("aiohttp.multipart", "BodyPartReader", "MultipartReader"),
        StandIn("aiohttp.web_ws", "WebSocketReady", "WebSocketResponse", "WSMsgType"),
        CalledStandIn("aiohttp.http_websocket"),
        without=["ssl"],  # it is there already where there is to be TLS
    ):
        import_module("aiohttp.web")
    vars(import_module("aiohttp.helpers"))["parse_content_type"] = _parse_content_type


@lru_cache(maxsize=56)
def _parse_content_type(raw: str) -> tuple[str, types.MappingProxyType[str, str]]:
    """aiohttp's own, which derives a class of `email` that few answers need: the type, and what is said besides it."""
    from email.message import Message

    message = Message()
    message["Content-Type"] = raw
    kind = raw.partition(";")[0].strip().lower()
    params = message.get_params([])
    return kind if kind.count("/") == 1 else "application/octet-stream", types.MappingProxyType(dict(params[1:]))


def import_app() -> None:
    """Import `app.py`, and of the dialects what an answer to the question needs whether the server is well."""
    openai = ("chat", "completions", "embeddings", "models", "responses.handlers", "responses.request")
    llamacpp = ("adapters", "completion", "embedding", "infill", "loading", "metrics", "props", "slots", "tokens")
    with standing_in(
        *_handlers("openai", *openai, "responses.stored", "transcriptions"),
        *_handlers("llamacpp", *llamacpp),
        *_handlers("anthropic", "messages", "tokens", "turns"),
        *_handlers("ollama", "catalog", "chat", "embed", "fixed", "generate"),
    ):
        import_module("runtime.server.app")


def _handlers(dialect: str, *modules: str) -> list[CalledStandIn]:
    return [CalledStandIn(f"runtime.server.{dialect}.{name}") for name in modules]


def _type_variables() -> dict[str, object]:
    """For aiosignal, what of them Python has itself; `TypeAlias` is for llama_cpp, which another thread imports."""
    if sys.version_info < (3, 11):
        return {}
    return {"TypeVarTuple": lambda name, **_default: typing.TypeVarTuple(name)}


def _record(**_how: bool) -> Callable[[type], type]:
    """`attr.s` for what aiohttp's server has of it: a few records of named values, none of which is made often."""

    def with_values(record: type) -> type:
        names = tuple(record.__annotations__)

        def take(self: Any, *values: Any, **named: Any) -> None:
            vars(self).update(zip(names, values, strict=False), **named)

        record.__init__ = take  # type: ignore[misc]
        return record

    return with_values
