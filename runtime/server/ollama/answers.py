"""The parts of Ollama's answers that are the same in all of them."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from runtime.engine.backend import Model
from runtime.engine.types import FinishedEvent, FinishReason, Probabilities
from runtime.server.probabilities import token_probabilities

_DONE_REASONS = {
    FinishReason.END_OF_TEXT: "stop",
    FinishReason.STOP_STRING: "stop",
    FinishReason.MAX_TOKENS: "length",
    FinishReason.CONTEXT_FULL: "length",
    FinishReason.TIME_LIMIT: "length",
    FinishReason.ABORTED: "stop",
}


def head(name: str) -> dict[str, Any]:
    """What every object of an answer begins with."""
    return {"model": name, "created_at": rfc3339(time.time())}


def without_text(name: str, *, unloads: bool) -> dict[str, Any]:
    """The answer to a request that only loads the model or unloads it."""
    return {**head(name), "done": True, "done_reason": "unload" if unloads else "load"}


def ending(event: FinishedEvent, began: float) -> dict[str, Any]:
    """What the last object adds. Nanoseconds; the model is always loaded, which takes none of them.

    `began` is when the request came, by the monotonic clock.
    """
    usage = event.usage
    return {
        "done": True,
        "done_reason": _DONE_REASONS[event.reason],
        "total_duration": nanoseconds(time.monotonic() - began),
        "load_duration": 0,
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": nanoseconds(usage.prompt_seconds),
        "eval_count": usage.generated_tokens,
        "eval_duration": nanoseconds(usage.generation_seconds),
    }


def logprobs(model: Model, given: tuple[Probabilities, ...], n_top: int) -> dict[str, Any]:
    """`logprobs`, where there are any, with the `n_top` most probable tokens at each place."""
    if not given:
        return {}
    found = token_probabilities(model, given, post_sampling=False)
    return {"logprobs": [_logprob(one, n_top) for one in found]}


def rfc3339(seconds: float) -> str:
    """A time as Ollama writes it. `seconds` since the epoch."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def nanoseconds(seconds: float) -> int:
    """Ollama's unit."""
    return int(seconds * 1e9)


def _logprob(one: dict[str, Any], n_top: int) -> dict[str, Any]:
    entry = _token(one)
    return {**entry, "top_logprobs": [_token(other) for other in one["top_logprobs"][:n_top]]} if n_top else entry


def _token(one: dict[str, Any]) -> dict[str, Any]:
    return {"token": one["token"], "logprob": one["logprob"], "bytes": one["bytes"]}
