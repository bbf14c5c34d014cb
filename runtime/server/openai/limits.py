"""What requests ask for in OpenAI's dialect alike, and how much of it they may, where that is not llama-server's."""

from __future__ import annotations

import msgspec

from runtime.engine.types import Sampling
from runtime.server.refusals import BadRequest


class StreamOptions(msgspec.Struct):
    """What a stream is to hold besides text."""

    include_usage: bool | None = None


MAX_TOP_LOGPROBS = 20
"""OpenAI's limit."""


def top_logprobs(given: int | None, field: str) -> int:
    """How many tokens are wanted beside each. Raises `BadRequest`."""
    if not 0 <= (given or 0) <= MAX_TOP_LOGPROBS:
        raise BadRequest(f"{field}: must be from 0 to {MAX_TOP_LOGPROBS}", field)
    return given or 0


def with_logprobs(sampling: Sampling, top: int | None) -> Sampling:
    """`sampling`, with the probabilities of each token and of `top` others; None for none."""
    if top is None:
        return sampling
    return msgspec.structs.replace(sampling, n_probs=max(top, 1), post_sampling_probs=False)
