"""OpenAI's form of an error, in an answer and in the middle of a stream.

It is llama-server's, but where the context is too small: then OpenAI's clients look for a code, or for words of the
message (OpenAI's "maximum context length", llama.cpp's "exceeds the available context size"), and shorten the
conversation.
"""

from __future__ import annotations

from typing import Any

from runtime.server.dialect import Failure
from runtime.server.dialect import error_object as common_form

CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"


def error_object(failure: Failure) -> Any:
    """`{"error": {"code", "message", "type", …}}`; `code` is the status, or OpenAI's word."""
    written = common_form(failure)
    if failure.overflow is not None:
        code = {"code": CONTEXT_LENGTH_EXCEEDED, "message": error_message(failure), "type": "invalid_request_error"}
        written["error"] |= code
    return written


def error_message(failure: Failure) -> str:
    """What went wrong, in words that clients recognise."""
    if failure.overflow is None:
        return failure.message
    n_prompt, n_ctx = failure.overflow.n_prompt, failure.overflow.n_ctx
    return (
        f"This model's maximum context length is {n_ctx} tokens. The request has {n_prompt} tokens, which "
        "exceeds the available context size. Shorten the prompt, or start the server with a larger --ctx-size."
    )


def error_code(failure: Failure) -> str:
    """What `/v1/responses` says of it in one word."""
    return "server_error" if failure.overflow is None else CONTEXT_LENGTH_EXCEEDED
