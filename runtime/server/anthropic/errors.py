"""Anthropic's form of an error, in an answer and in the middle of a stream.

Its types follow from the status: https://docs.anthropic.com/en/api/errors. Overload is 503 here as in all dialects,
not Anthropic's own 529: proxies know it, and its clients read the type.
"""

from __future__ import annotations

from typing import Any

from runtime.server.dialect import Failure

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error_object(failure: Failure) -> Any:
    """`{"type": "error", "error": {"type", "message"}}`."""
    other = "api_error" if failure.status >= 500 else "invalid_request_error"
    return {"type": "error", "error": {"type": _TYPES.get(failure.status, other), "message": _message(failure)}}


def _message(failure: Failure) -> str:
    """Of a prompt that is too long, what its clients compare word for word before they shorten the conversation."""
    if failure.overflow is None:
        return failure.message
    return f"prompt is too long: {failure.overflow.n_prompt} tokens > {failure.overflow.n_ctx} maximum"
