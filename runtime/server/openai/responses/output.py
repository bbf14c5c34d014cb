"""The objects that answers of `/v1/responses` are made of: the response, and the items of its output.

Knows what they look like. Refuses to know when which of them is sent.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from runtime.chat.job import ChatFinished
from runtime.engine.types import FinishReason, GenerationRequest
from runtime.server.dialect import Failure
from runtime.server.openai.endings import FINISH_REASONS
from runtime.server.openai.errors import error_code, error_message
from runtime.server.openai.responses.request import ResponsesRequest
from runtime.server.openai.responses.tools import Origin
from runtime.server.timings import timings

Status = Literal["in_progress", "completed", "incomplete"]


def new_id(prefix: str) -> str:
    """An identifier that nobody else has."""
    return f"{prefix}_{secrets.token_hex(24)}"


def status_of(reason: FinishReason) -> Status:
    """How far the answer came."""
    is_cut = FINISH_REASONS[reason] == "length" or reason is FinishReason.ABORTED
    return "incomplete" if is_cut else "completed"


def reasoning_item(id_: str, text: str, status: Status) -> dict[str, Any]:
    """Thoughts."""
    content = [reasoning_part(text)] if text else []
    return {"id": id_, "type": "reasoning", "status": status, "summary": [], "content": content}


def reasoning_part(text: str) -> dict[str, Any]:
    """What thoughts are made of."""
    return {"type": "reasoning_text", "text": text}


def message_item(id_: str, parts: Sequence[dict[str, Any]], status: Status) -> dict[str, Any]:
    """What is said to the user."""
    return {"id": id_, "type": "message", "status": status, "role": "assistant", "content": list(parts)}


def text_part(text: str, logprobs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What messages are made of."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def call_item(id_: str, call_id: str, origin: Origin, arguments: str, status: Status) -> dict[str, Any]:
    """A call of a function. `arguments` is JSON in a string."""
    namespace = {"namespace": origin.namespace} if origin.namespace else {}
    call = {"call_id": call_id, "name": origin.name, **namespace, "arguments": arguments}
    return {"id": id_, "type": "function_call", "status": status, **call}


def custom_call_item(id_: str, call_id: str, origin: Origin, text: str, status: Status) -> dict[str, Any]:
    """A call of a custom tool, with the text that it is called with."""
    call = {"call_id": call_id, "name": origin.name, "input": text}
    return {"id": id_, "type": "custom_tool_call", "status": status, **call}


class ResponseHead:
    """What is the same in a response from its beginning to its end: who answers whom, and how."""

    def __init__(self, body: ResponsesRequest, wanted: GenerationRequest, model: str) -> None:
        builtins = msgspec.to_builtins
        text = builtins(body.text) if body.text else {}
        self._id = new_id("resp")
        self._fields = {
            "id": self._id,
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": body.previous_response_id,
            "reasoning": builtins(body.reasoning) if body.reasoning else {"effort": None, "summary": None},
            "store": body.store is not False,
            "temperature": wanted.sampling.temperature,
            "text": {**text, "format": text.get("format") or {"type": "text"}},
            "tool_choice": builtins(body.tool_choice) if body.tool_choice is not None else "auto",
            "tools": builtins(body.tools or []),
            "top_logprobs": body.top_logprobs or 0,
            "top_p": wanted.sampling.top_p,
            "truncation": "disabled",
        }

    @property
    def id(self) -> str:
        return self._id

    def begun(self) -> dict[str, Any]:
        """The response before there is anything in it."""
        return self._response("in_progress", [])

    def ended(self, finished: ChatFinished, output: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The whole response."""
        status = "cancelled" if finished.reason is FinishReason.ABORTED else status_of(finished.reason)
        details = {"reason": "max_output_tokens"} if status == "incomplete" else None
        response = self._response(status, output, incomplete_details=details, usage=_usage(finished))
        return {**response, "completed_at": int(time.time()), "timings": timings(finished.usage)}

    def failed(self, failure: Failure, output: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The response as far as it came."""
        error = {"code": error_code(failure), "message": error_message(failure)}
        return self._response("failed", output, error=error)

    def _response(
        self,
        status: str,
        output: Sequence[dict[str, Any]],
        *,
        error: dict[str, Any] | None = None,
        incomplete_details: dict[str, Any] | None = None,
        usage: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return {
            **self._fields,
            "status": status,
            "error": error,
            "incomplete_details": incomplete_details,
            "output": list(output),
            "usage": usage,
        }


def _usage(finished: ChatFinished) -> dict[str, Any]:
    usage = finished.usage
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.generated_tokens,
        "output_tokens_details": {"reasoning_tokens": finished.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.generated_tokens,
    }
