"""What a dialect costs, and what a stream does: the same answer asked for in each of them; 64 streams at once.

Knows how each dialect asks for a text of a fixed length. Refuses to know which servers there are.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any

from cases import USUAL, Prompts, answers_to
from processes import RunningServer
from report import Unit
from streams import AnswerFailed, Exchange

TOKENS = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """How a dialect is asked: the path, and the fields that say how long the answer is and how it is sampled."""

    path: str
    fields: dict[str, Any]
    is_chat: bool = True


ASKED = {
    "native": Asked("/completion", {"n_predict": TOKENS, "temperature": 0}, is_chat=False),
    "OpenAI completions": Asked("/v1/completions", {"max_tokens": TOKENS, "temperature": 0}, is_chat=False),
    "OpenAI chat": Asked("/v1/chat/completions", {"max_tokens": TOKENS, "temperature": 0}),
    "Ollama chat": Asked("/api/chat", {"model": "any", "options": {"num_predict": TOKENS, "temperature": 0}}),
    "Anthropic": Asked("/v1/messages", {"model": "any", "max_tokens": TOKENS, "temperature": 0}),
}


@dataclass(frozen=True, slots=True)
class Dialects:
    """One client asks each dialect in turn. Needs a model that counts: it goes on with a word, so it says words.

    Every prompt is a conversation whose last turn is the assistant's, begun; dialects without conversations get it as
    the text that the server itself makes of it.
    """

    prompts: Prompts

    @property
    def rows(self) -> dict[str, Unit]:
        rows: dict[str, Unit] = {}
        for name in ASKED:
            rows |= {speed_of(name): "/s", first_of(name): "s"}
        return rows

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        names = list(ASKED)
        begins = number % len(names)
        figures: dict[str, float] = {}
        for name in names[begins:] + names[:begins]:
            figures |= await self._ask(server, name, number)
        return figures

    async def _ask(self, server: RunningServer, name: str, number: int) -> dict[str, float]:
        (begin,) = self.prompts.random(f"{name} {number}", 1)
        said = random.Random(f"{name} {number}").getrandbits(200)
        word = (await _answer(server, "/detokenize", {"tokens": [begin]}))["content"]
        messages = [{"role": "user", "content": f"{said:x}"}, {"role": "assistant", "content": word}]
        asked = ASKED[name]
        given: dict[str, Any] = {"messages": messages}
        if not asked.is_chat:
            given = {"prompt": (await _answer(server, "/apply-template", given))["prompt"]}
        exchange = Exchange(server.port, asked.path, {**given, **asked.fields, "stream": True})
        await exchange.finished()
        sent, arrivals = exchange.arrivals()
        if len(arrivals) < 3:
            raise AnswerFailed(f"{name}: {len(arrivals)} pieces")
        return {
            speed_of(name): (TOKENS - 1) / (arrivals[-1] - arrivals[0]),
            first_of(name): arrivals[0] - sent,
        }


@dataclass(frozen=True, slots=True)
class ManyStreams:
    """64 streams at once: processor time of the server for each token."""

    prompts: Prompts

    STREAMS = 64
    LENGTH = 64
    TIME = "64 streams: processor time a token"
    SPEED = "  tokens (64 streams)"

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.TIME: "ms", self.SPEED: "/s"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        prompts = [self.prompts.random(f"64 {number} {stream}", 32) for stream in range(self.STREAMS)]
        before = server.processor_time()
        answers = await answers_to(server, prompts, self.LENGTH, USUAL)
        taken = server.processor_time() - before
        tokens = self.STREAMS * self.LENGTH
        seconds = max(answer.ended for answer in answers) - min(answer.sent for answer in answers)
        return {self.TIME: taken / tokens * 1000, self.SPEED: tokens / seconds}


def speed_of(name: str) -> str:
    """The row with a dialect's tokens a second."""
    return f"{name}: tokens"


def first_of(name: str) -> str:
    """The row with the time to its first piece."""
    return f"  first piece ({name})"


async def _answer(server: RunningServer, path: str, body: dict[str, Any]) -> Any:
    exchange = Exchange(server.port, path, body)
    await asyncio.wait_for(exchange.finished(), 60)
    return exchange.content()
