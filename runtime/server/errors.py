"""Errors become status codes here and nowhere else; the dialect of the path writes them in its own form."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiohttp import web

from runtime.chat.errors import AnswerFormConflict, TemplateFailed, ToolsUnsupported
from runtime.engine.errors import (
    CannotEmbedPieces,
    CannotGenerate,
    CannotWake,
    EmptyPrompt,
    EngineStopped,
    GrammarInvalid,
    GrammarStuck,
    GrammarTooCostly,
    OriginsShareFull,
    PictureLast,
    PictureTooLarge,
    PictureUnusable,
    PromptTooLong,
    QueueFull,
    SoundUnusable,
    StateFailed,
    StillLoading,
    TextTooLong,
    UnknownSlot,
    WorkerLost,
)
from runtime.errors import LoafError
from runtime.grammar.errors import SchemaUnsupported
from runtime.media.errors import (
    MediaError,
    MediaRefused,
    MediaTooLarge,
    MediaTooMany,
    MediaUnreadable,
    MediaUnsupported,
)
from runtime.server.dialect import Dialect, Failure, Overflow
from runtime.server.json import json_response
from runtime.server.refusals import (
    BadRequest,
    BodiesTooLarge,
    CannotInfill,
    CannotRerank,
    ForeignHost,
    ForeignOrigin,
    HeadersTooLarge,
    InvalidKey,
    MalformedRequest,
    ModelsFixed,
    NoSlotFree,
    NoStateFolder,
    ServerStopping,
    SlowBody,
    SwitchedOff,
    TooManyConnections,
    UnknownAnswer,
    UnknownModel,
)

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware


_STATUS: dict[type[LoafError], tuple[int, str]] = {
    BadRequest: (400, "invalid_request_error"),
    EmptyPrompt: (400, "invalid_request_error"),
    GrammarInvalid: (400, "invalid_request_error"),
    GrammarStuck: (400, "invalid_request_error"),
    GrammarTooCostly: (400, "invalid_request_error"),
    TemplateFailed: (400, "invalid_request_error"),
    ToolsUnsupported: (400, "invalid_request_error"),
    AnswerFormConflict: (400, "invalid_request_error"),
    MediaUnsupported: (400, "invalid_request_error"),
    MediaUnreadable: (400, "invalid_request_error"),
    MediaTooLarge: (400, "invalid_request_error"),
    MediaTooMany: (400, "invalid_request_error"),
    MediaRefused: (400, "invalid_request_error"),
    PictureLast: (400, "invalid_request_error"),
    PictureUnusable: (400, "invalid_request_error"),
    PictureTooLarge: (400, "invalid_request_error"),
    SoundUnusable: (400, "invalid_request_error"),
    SchemaUnsupported: (400, "invalid_request_error"),
    TextTooLong: (400, "invalid_request_error"),
    StateFailed: (400, "invalid_request_error"),
    UnknownModel: (404, "not_found_error"),
    UnknownAnswer: (404, "not_found_error"),
    UnknownSlot: (404, "not_found_error"),
    ModelsFixed: (403, "permission_error"),
    CannotEmbedPieces: (400, "invalid_request_error"),
    CannotGenerate: (501, "not_supported_error"),
    NoStateFolder: (501, "not_supported_error"),
    SwitchedOff: (501, "not_supported_error"),
    CannotInfill: (501, "not_supported_error"),
    CannotRerank: (501, "not_supported_error"),
    PromptTooLong: (400, "exceed_context_size_error"),
    StillLoading: (503, "unavailable_error"),
    CannotWake: (503, "unavailable_error"),
    QueueFull: (503, "unavailable_error"),
    OriginsShareFull: (503, "unavailable_error"),
    NoSlotFree: (503, "unavailable_error"),
    EngineStopped: (503, "unavailable_error"),
    WorkerLost: (503, "unavailable_error"),
    MalformedRequest: (400, "invalid_request_error"),
    InvalidKey: (401, "authentication_error"),
    ForeignHost: (403, "permission_error"),
    ForeignOrigin: (403, "permission_error"),
    SlowBody: (408, "invalid_request_error"),
    HeadersTooLarge: (431, "invalid_request_error"),
    BodiesTooLarge: (503, "unavailable_error"),
    ServerStopping: (503, "unavailable_error"),
    TooManyConnections: (503, "unavailable_error"),
}


_PASSING = (
    BodiesTooLarge,
    EngineStopped,
    OriginsShareFull,
    QueueFull,
    ServerStopping,
    StillLoading,
    TooManyConnections,
)
"""What may be over in a second."""

_COMPARED = (InvalidKey, NoSlotFree, StillLoading)
"""What clients of llama-server compare word for word, so no hint is behind it. The status says what to do, too."""


def answering_errors(dialects: Sequence[Dialect], prefix: str) -> Middleware:
    """A middleware that turns what handlers raise into answers. Paths of nobody's are the first dialect's.

    `prefix` comes before all paths.
    """

    @web.middleware
    async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except LoafError as error:
            failure = failure_of(error)
        except web.HTTPNotFound:
            failure = Failure(404, "not_found_error", "File Not Found")
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            message = f"{request.path} takes {allowed}, not {error.method}"
            failure = Failure(405, "invalid_request_error", message)
        except web.HTTPRequestEntityTooLarge:
            limit = request.app._client_max_size  # aiohttp keeps no public name for it
            failure = Failure(
                413, "invalid_request_error", f"the request is larger than {limit:,} bytes. Send less at once."
            )
        except web.HTTPException:
            raise
        except ConnectionResetError:  # the client left while it was being answered; nobody reads this
            return web.Response()
        except Exception as bug:
            traceback.print_exc()
            failure = Failure(500, "server_error", f"this is a bug in loaf: {bug!r}")
        return _response(failure, _dialect_of(request.path.removeprefix(prefix), dialects))

    return answer_errors


def failure_of(error: LoafError) -> Failure:
    """What a client is told of `error`, in an answer or in the middle of a stream."""
    status, kind = _STATUS.get(type(error), (500, "server_error"))
    message = f"{error.message}. {error.hint}" if error.hint and not isinstance(error, _COMPARED) else error.message
    details: dict[str, str | int | float] = {}
    overflow = None
    if isinstance(error, PromptTooLong):
        details = {"n_prompt_tokens": error.n_prompt, "n_ctx": error.n_ctx}
        overflow = Overflow(error.n_prompt, error.n_ctx)
    if isinstance(error, (BadRequest, MediaError)) and error.field:
        details = {"param": error.field}
    if isinstance(error, StillLoading) and error.progress is not None:
        details = {"progress": round(error.progress, 3)}
    retry_after = 1 if isinstance(error, _PASSING) else None
    return Failure(status, kind, message, details, retry_after, overflow)


def _dialect_of(path: str, dialects: Sequence[Dialect]) -> Dialect:
    """Whose path it is. Prefixes of several dialects may fit: `/v1/` is OpenAI's, `/v1/messages` is not."""
    found = [(len(prefix), one) for one in dialects for prefix in one.prefixes if path.startswith(prefix)]
    return max(found, key=lambda pair: pair[0])[1] if found else dialects[0]


def _response(failure: Failure, dialect: Dialect) -> web.Response:
    response = json_response(dialect.error(failure), status=failure.status)
    if failure.retry_after is not None:
        response.headers["Retry-After"] = str(failure.retry_after)
    return response
