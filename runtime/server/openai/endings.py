"""How answers ended, in OpenAI's words: why, and how many tokens they took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.chat.job import ChatFinished
from runtime.engine.types import FinishedEvent, FinishReason

FINISH_REASONS = {
    FinishReason.END_OF_TEXT: "stop",
    FinishReason.STOP_STRING: "stop",
    FinishReason.MAX_TOKENS: "length",
    FinishReason.CONTEXT_FULL: "length",
    FinishReason.TIME_LIMIT: "length",
    FinishReason.ABORTED: "stop",
}


def usage_object(finished: Sequence[FinishedEvent], answers_each: int | None = None) -> dict[str, Any]:
    """Tokens of all answers together. A prompt counts once, for its `answers_each`: all of them unless told."""
    prompts = [one.usage for one in finished[:: answers_each or len(finished)]]
    prompt_tokens = sum(one.prompt_tokens for one in prompts)
    completion_tokens = sum(one.usage.generated_tokens for one in finished)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": sum(one.cached_tokens for one in prompts)},
    }


def chat_usage(finished: Sequence[ChatFinished]) -> dict[str, Any]:
    """The same of answers to a conversation, with how many of the tokens were thoughts."""
    reasoning_tokens = sum(one.reasoning_tokens for one in finished)
    return {**usage_object(finished), "completion_tokens_details": {"reasoning_tokens": reasoning_tokens}}
