"""Errors become status codes and llama-server's error object, here and nowhere else.

{"error": {"code": 400, "message": "…", "type": "invalid_request_error", …}}
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from runtime.chat.errors import AnswerFormConflict, TemplateFailed, ToolsUnsupported
from runtime.engine.errors import (
    CannotGenerate,
    EmptyPrompt,
    EngineStopped,
    GrammarInvalid,
    GrammarStuck,
    PromptTooLong,
    QueueFull,
    SlotBusy,
    StateFailed,
    StillLoading,
    TextTooLong,
    UnknownSlot,
)
from runtime.errors import LoafError
from runtime.grammar.errors import SchemaUnsupported
from runtime.server.json import json_response

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadRequest(LoafError):
    """The request says something that cannot be done. `field` is the part of it that is wrong."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NoStateFolder(LoafError):
    """Nobody said where states may be kept."""

    def __init__(self) -> None:
        super().__init__("this server keeps no slot states", "Start it with --slot-save-path FOLDER.")


class CannotRerank(LoafError):
    """The model makes vectors, not scores."""

    def __init__(self) -> None:
        super().__init__("this model cannot rerank", "Ask a reranking model, or start with --pooling rank.")


_STATUS: dict[type[LoafError], tuple[int, str]] = {
    BadRequest: (400, "invalid_request_error"),
    EmptyPrompt: (400, "invalid_request_error"),
    GrammarInvalid: (400, "invalid_request_error"),
    GrammarStuck: (400, "invalid_request_error"),
    TemplateFailed: (400, "invalid_request_error"),
    ToolsUnsupported: (400, "invalid_request_error"),
    AnswerFormConflict: (400, "invalid_request_error"),
    SchemaUnsupported: (400, "invalid_request_error"),
    TextTooLong: (400, "invalid_request_error"),
    StateFailed: (400, "invalid_request_error"),
    UnknownSlot: (404, "not_found_error"),
    SlotBusy: (409, "unavailable_error"),
    CannotGenerate: (501, "not_supported_error"),
    NoStateFolder: (501, "not_supported_error"),
    CannotRerank: (501, "not_supported_error"),
    PromptTooLong: (400, "exceed_context_size_error"),
    StillLoading: (503, "unavailable_error"),
    QueueFull: (503, "unavailable_error"),
    EngineStopped: (503, "unavailable_error"),
}


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what handlers raise into answers."""
    try:
        return await handler(request)
    except LoafError as error:
        return error_response(error)
    except web.HTTPNotFound:
        return _response(404, "not_found_error", "File Not Found")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return _response(405, "invalid_request_error", f"{request.path} takes {allowed}, not {error.method}")
    except web.HTTPRequestEntityTooLarge:
        limit = request.app._client_max_size  # aiohttp keeps no public name for it
        return _response(413, "invalid_request_error", f"the request is larger than {limit:,} bytes")
    except web.HTTPException:
        raise
    except ConnectionResetError:  # the client left while it was being answered; nobody reads this
        return web.Response()
    except Exception as bug:
        traceback.print_exc()
        return _response(500, "server_error", f"this is a bug in loaf: {bug!r}")


def error_object(error: LoafError) -> dict[str, Any]:
    """What goes under `error`, in an answer or in the middle of a stream."""
    code, kind = _STATUS.get(type(error), (500, "server_error"))
    message = f"{error.message}. {error.hint}" if error.hint else error.message
    fields: dict[str, Any] = {"code": code, "message": message, "type": kind}
    if isinstance(error, PromptTooLong):
        fields |= {"n_prompt_tokens": error.n_prompt, "n_ctx": error.n_ctx}
    if isinstance(error, BadRequest) and error.field:
        fields["param"] = error.field
    return fields


def error_response(error: LoafError) -> web.Response:
    """The answer for a request that has not been answered yet."""
    fields = error_object(error)
    response = json_response({"error": fields}, status=fields["code"])
    if isinstance(error, (QueueFull, StillLoading)):
        response.headers["Retry-After"] = "1"
    return response


def _response(status: int, kind: str, message: str) -> web.Response:
    return json_response({"error": {"code": status, "message": message, "type": kind}}, status=status)
