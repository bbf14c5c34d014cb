"""OpenAI's `usage` object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.engine.types import FinishedEvent


def usage_object(finished: Sequence[FinishedEvent]) -> dict[str, Any]:
    """Tokens of all answers together; the prompt, which they share, counts once."""
    prompt = finished[0].usage
    completion_tokens = sum(one.usage.generated_tokens for one in finished)
    return {
        "prompt_tokens": prompt.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt.prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": prompt.cached_tokens},
    }
