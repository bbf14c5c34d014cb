"""How fast an answer came, in one line for people."""

from __future__ import annotations

from runtime.engine.types import Usage


def speed_of(usage: Usage) -> str:
    """As in `12 tokens, 190 tokens/s; prompt 40 tokens (30 known), 850 tokens/s`."""
    known = f" ({usage.cached_tokens:,} known)" if usage.cached_tokens else ""
    computed = usage.prompt_tokens - usage.cached_tokens
    return (
        f"{usage.generated_tokens:,} tokens{_rate(usage.generated_tokens, usage.generation_seconds)}; "
        f"prompt {usage.prompt_tokens:,} tokens{known}{_rate(computed, usage.prompt_seconds)}"
    )


def _rate(tokens: int, seconds: float) -> str:
    return f", {tokens / seconds:,.0f} tokens/s" if tokens and seconds > 0 else ""
