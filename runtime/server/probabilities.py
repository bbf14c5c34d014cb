"""The probabilities of tokens, as llama-server writes them in its native answers and in OpenAI's `logprobs`."""

from __future__ import annotations

import math
from typing import Any

from runtime.engine.backend import Model
from runtime.engine.types import Probabilities, TokenProbability

_LOWEST = -3.4028234663852886e38
"""The least 32-bit float, which stands for the logarithm of 0: JSON has no infinity (llama-server's choice)."""


def token_probabilities(model: Model, given: tuple[Probabilities, ...], *, post_sampling: bool) -> list[dict[str, Any]]:
    """One object for each token, with the most probable ones at its place: logarithms, or plain if `post_sampling`."""
    top = "top_probs" if post_sampling else "top_logprobs"
    return [
        {
            **_entry(model, one.sampled, post_sampling),
            top: [_entry(model, other, post_sampling) for other in one.top if other.probability or not post_sampling],
        }
        for one in given
    ]


def _entry(model: Model, one: TokenProbability, post_sampling: bool) -> dict[str, Any]:
    piece = model.piece(one.token, special=True)
    p = one.probability
    value = {"prob": p} if post_sampling else {"logprob": math.log(p) if p > 0 else _LOWEST}
    return {"id": one.token, "token": piece.decode("utf-8", "ignore"), "bytes": list(piece), **value}
