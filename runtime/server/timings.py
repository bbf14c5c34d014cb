"""llama-server's `timings` and `prompt_progress`, which its clients read in more than one dialect."""

from __future__ import annotations

from typing import Any

from runtime.engine.types import Progress, Usage


def timings(usage: Usage) -> dict[str, Any]:
    """Counts in tokens, times in milliseconds; `prompt_n` is without what was cached."""
    prompt_n = usage.prompt_tokens - usage.cached_tokens
    return {
        "cache_n": usage.cached_tokens,
        **_part("prompt", prompt_n, usage.prompt_seconds),
        **_part("predicted", usage.generated_tokens, usage.generation_seconds),
        **_guesses(usage),
    }


def prompt_progress(progress: Progress) -> dict[str, Any]:
    """How far the prompt has come, for events before the first token: counts in tokens, time in milliseconds."""
    usage = progress.usage
    told = {
        "total": usage.prompt_tokens,
        "cache": usage.cached_tokens,
        "processed": progress.processed,
        "time_ms": round(usage.prompt_seconds * 1000),
    }
    return {"prompt_progress": told}


def _guesses(usage: Usage) -> dict[str, int]:
    """As in llama-server, only where there were any."""
    return {"draft_n": usage.drafted_tokens, "draft_n_accepted": usage.accepted_tokens} if usage.drafted_tokens else {}


def _part(name: str, n: int, seconds: float) -> dict[str, Any]:
    return {
        f"{name}_n": n,
        f"{name}_ms": seconds * 1000,
        f"{name}_per_token_ms": seconds * 1000 / n if n else 0.0,
        f"{name}_per_second": n / seconds if seconds > 0 else 0.0,
    }
