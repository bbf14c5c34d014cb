"""Answers that must be the same each time, whatever else the server computes.

Which requests are in a batch changes the last bits of its logits, so that greedy texts may differ where two tokens are
almost as likely. Texts of which every token is far likelier than the next best may not: a difference there means that
a request was given something of another's. So they are chosen by how sure the model is, before there is any load, cut
where it is not, and asked again and again during the load. A model that is sure of nothing has none.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from draw import Dialect, Expected, Question
from wire import Address, Reply, ask

_ASSISTANT = "<|im_end|>\n<|im_start|>assistant\n"
_PROMPTS = (
    "The first man on the moon was",
    "The capital of France is",
    "The capital of Italy is",
    "The quick brown fox",
    "One, two, three, four,",
    '{"name": "',
    f"<|im_start|>user\nWho was the first man on the moon?{_ASSISTANT}",
    f"<|im_start|>user\nWhat is the capital of Japan?{_ASSISTANT}",
    f"<|im_start|>user\nWhat is the capital of Spain?{_ASSISTANT}",
)
_MOST_TOKENS = 24
_FEWEST_TOKENS = 3
_MARGIN = 1.0
"""By how much a token's log-probability must exceed the next best's. Batches change it by hundredths."""


@dataclass(frozen=True, slots=True)
class Sure:
    """A prompt, the number of tokens that the model is sure of, and the text that they are."""

    prompt: str
    tokens: int
    text: str

    def question(self, number: int) -> Question:
        """To be judged by `same` as well."""
        body = {"prompt": self.prompt, "temperature": 0, "n_predict": self.tokens, "cache_prompt": True}
        expected = Expected(Dialect.NATIVE, limit=self.tokens)
        return Question(number, "repeated", "POST", "/completion", json.dumps(body).encode(), expected)

    def same(self, reply: Reply) -> bool:
        """Whether an answer, already found to be one, is the text."""
        return reply.status != 200 or json.loads(reply.body)["content"] == self.text


async def sure_texts(address: Address, patience: int) -> list[Sure]:
    """What the model on an idle server is sure of. Raises OSError, `Broken`."""
    return [sure async for sure in _sure_texts(address, patience)]


async def _sure_texts(address: Address, patience: int) -> AsyncIterator[Sure]:
    for prompt in _PROMPTS:
        body = {"prompt": prompt, "temperature": 0, "n_predict": _MOST_TOKENS, "n_probs": 2, "cache_prompt": False}
        reply = await ask(address, "POST", "/completion", json.dumps(body).encode(), patience=patience)
        if reply.status != 200:
            continue
        tokens = _sure_tokens(json.loads(reply.body))
        if tokens < _FEWEST_TOKENS:
            continue
        body |= {"n_predict": tokens, "n_probs": 0}
        reply = await ask(address, "POST", "/completion", json.dumps(body).encode(), patience=patience)
        if reply.status == 200:
            yield Sure(prompt, tokens, json.loads(reply.body)["content"])


def _sure_tokens(content: Any) -> int:
    """How many of an answer's first tokens had no rival."""
    for i, token in enumerate(content.get("completion_probabilities", ())):
        best, *others = (one["logprob"] for one in token["top_logprobs"])
        if others and best - others[0] < _MARGIN and not math.isinf(others[0]):
            return i
    return len(content.get("completion_probabilities", ()))
