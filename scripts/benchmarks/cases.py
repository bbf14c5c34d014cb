"""What `scripts/bench serve` asks of a server, and what it notes: one class for each kind of case.

Every round has prompts of its own, the same for every server, so that nothing is left in a cache from the round before.
Prompts are numbers of tokens, because the models of noise know no text. Refuses to know which servers there are.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from processes import RunningServer
from report import Unit
from streams import Answer, AnswerFailed, Exchange

GREEDY: Mapping[str, Any] = {"temperature": 0}
USUAL: Mapping[str, Any] = {"seed": 1}
"""The servers' defaults, which are the same."""


class Case(Protocol):
    """`rows` are the figures that `measure` notes of a round, and their units."""

    @property
    def rows(self) -> dict[str, Unit]: ...
    async def measure(self, server: RunningServer, number: int) -> dict[str, float]: ...


@dataclass(frozen=True, slots=True)
class Prompts:
    """Random tokens of a vocabulary of `size`, from its middle half: all of them words."""

    size: int

    def random(self, seed: str, length: int) -> list[int]:
        generator = random.Random(seed)
        return [generator.randrange(self.size // 4, self.size * 3 // 4) for _ in range(length)]


@dataclass(frozen=True, slots=True)
class Streams:
    """`clients` at once, each with a prompt of its own: tokens a second in all, and how long the first one takes."""

    name: str
    prompts: Prompts
    clients: int
    prompt: int
    tokens: int

    @property
    def speed(self) -> str:
        return f"{self.name}: tokens"

    @property
    def first(self) -> str:
        return f"  first token ({self.name})"

    @property
    def worst(self) -> str:
        return f"  the slowest client's ({self.name})"

    @property
    def rows(self) -> dict[str, Unit]:
        rows: dict[str, Unit] = {self.speed: "/s", self.first: "s"}
        return rows if self.clients == 1 else {**rows, self.worst: "s"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        prompts = [self.prompts.random(f"{self.name} {number} {client}", self.prompt) for client in range(self.clients)]
        answers = await answers_to(server, prompts, self.tokens, USUAL)
        waits = [answer.first_token for answer in answers]
        speed = self.clients * self.tokens / _seconds(answers)
        figures = {self.speed: speed, self.first: statistics.median(waits)}
        return figures if self.clients == 1 else {**figures, self.worst: max(waits)}


@dataclass(frozen=True, slots=True)
class LongPrompt:
    """A prompt of 4,000 tokens comes while `STREAMS` are running: for how long do those get nothing?

    The measure is the time of one chunk, its last and so its dearest: what the server takes, alone, to compute 512
    tokens behind 3,488 that it has already, and to answer one.
    """

    prompts: Prompts

    STREAMS = 3
    LENGTH = 4000
    CHUNK = 512
    GAP = "4,000 tokens come in: longest gap in 3 streams"
    ALONE = "  the last 512 of them alone"
    RATIO = "  the gap, measured in those"
    FIRST = "  their first token, beside the streams"

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.GAP: "s", self.ALONE: "s", self.RATIO: "x", self.FIRST: "s"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        alone = await self.last_chunk(server, number)
        short = [self.prompts.random(f"short {number} {stream}", 32) for stream in range(self.STREAMS)]
        running = [_completion(server, prompt, 192, USUAL) for prompt in short]
        for stream in running:
            await stream.several_pieces(16)
        long = _completion(server, self.prompts.random(f"long {number}", self.LENGTH), 1, USUAL)
        await asyncio.gather(long.finished(), *(stream.finished() for stream in running))
        arrived = long.answer()
        gap = max(longest_gap(stream.answer().arrivals, arrived) for stream in running)
        return {self.GAP: gap, self.ALONE: alone, self.RATIO: gap / alone, self.FIRST: arrived.first_token}

    async def last_chunk(self, server: RunningServer, number: int) -> float:
        """Seconds that the measure takes."""
        prompt = self.prompts.random(f"alone {number}", self.LENGTH)
        await answers_to(server, [prompt[: -self.CHUNK]], 1, USUAL)
        (answer,) = await answers_to(server, [prompt], 1, USUAL)
        return answer.first_token


@dataclass(frozen=True, slots=True)
class Queued:
    """While 32 others wait or are computed, a stream is asked for: how long does it take until anything is heard of it?

    That is its headers, where a server sends them before the first token: clients give up on one they hear nothing of.
    """

    prompts: Prompts

    OTHERS = 32
    FIRST_BYTE = "32 others are queued: first byte of a stream"

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.FIRST_BYTE: "s"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        texts = [self.prompts.random(f"queued {number} {other}", 256) for other in range(self.OTHERS)]
        others = [_completion(server, prompt, 16, USUAL) for prompt in texts]
        await others[0].several_pieces(2)
        late = _completion(server, self.prompts.random(f"late {number}", 32), 1, USUAL)
        await asyncio.gather(late.finished(), *(other.finished() for other in others))
        return {self.FIRST_BYTE: late.first_byte()}


@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """16 clients come at once with the same 700 tokens, 20 of their own behind them, and want 32 more."""

    prompts: Prompts

    CLIENTS = 16
    ALL = "16 clients, one prefix of 700 tokens: all finished"

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.ALL: "s"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        prefix = self.prompts.random(f"prefix {number}", 700)
        own = [self.prompts.random(f"own {number} {client}", 20) for client in range(self.CLIENTS)]
        return {self.ALL: _seconds(await answers_to(server, [prefix + each for each in own], 32, USUAL))}


@dataclass(frozen=True, slots=True)
class Copying:
    """A text of 400 tokens is to be repeated with one of them changed. Needs a model that counts.

    The prompt holds 400 tokens in counting order, but for one in the middle, and ends with the one before them: the
    answer is all 400, in order.
    """

    prompts: Prompts

    LENGTH = 400
    SPEED = "a text repeated, one word changed: tokens"

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.SPEED: "/s"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        (begin,) = self.prompts.random(f"copy {number}", 1)
        text = list(range(begin + 1, begin + 1 + self.LENGTH))
        changed, *between = self.prompts.random(f"between {number}", 17)
        prompt = [*text[: self.LENGTH // 2], changed, *text[self.LENGTH // 2 + 1 :], *between, begin]
        return {self.SPEED: await _speed_of(server, prompt, text)}


@dataclass(frozen=True, slots=True)
class NewText:
    """An answer that is new, but of which the prompt holds three words in ten. Needs a counting model.

    Whoever guesses by what followed those words before guesses wrong.
    """

    prompts: Prompts

    LENGTH = 400
    SPEED = "new text, three words in ten seen before: tokens"

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.SPEED: "/s"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        (begin,) = self.prompts.random(f"new {number}", 1)
        answer = list(range(begin + 1, begin + 1 + self.LENGTH))
        prompt: list[int] = []
        for seen in range(0, self.LENGTH, 10):
            prompt += [*answer[seen : seen + 3], *self.prompts.random(f"other {number} {seen}", 7)]
        return {self.SPEED: await _speed_of(server, [*prompt, begin], answer)}


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Four clients, each with two requests of 32 texts of 32 words: vectors a second."""

    name: str

    TEXTS = 32
    WORDS = ("the", "moon", "rose", "over", "a", "quiet", "harbour", "while", "old", "friends", "talked", "of", "bread")

    @property
    def speed(self) -> str:
        return f"{self.name}: embeddings"

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.speed: "/s"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        exchanges = []
        began = asyncio.get_running_loop().time()
        for request in range(8):
            generator = random.Random(f"{number} {request}")
            texts = [" ".join(generator.choices(self.WORDS, k=32)) for _ in range(self.TEXTS)]
            exchanges.append(Exchange(server.port, "/v1/embeddings", {"model": "any", "input": texts}))
        await asyncio.gather(*(exchange.finished() for exchange in exchanges))
        seconds = asyncio.get_running_loop().time() - began
        vectors = sum(len(exchange.content()["data"]) for exchange in exchanges)
        if vectors != 8 * self.TEXTS:
            raise AnswerFailed(f"{vectors} vectors for {8 * self.TEXTS} texts")
        return {self.speed: vectors / seconds}


@dataclass(frozen=True, slots=True)
class MemoryAfter:
    """What the processes occupy once `work` is done."""

    work: Case

    RESIDENT = "memory after 8 streams: resident (Rss)"
    PROPORTIONAL = "  proportional (Pss)"
    ANONYMOUS = "  of no file (anonymous)"

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.RESIDENT: "bytes", self.PROPORTIONAL: "bytes", self.ANONYMOUS: "bytes"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        await self.work.measure(server, number)
        memory = server.memory()
        return {
            self.RESIDENT: memory.resident,
            self.PROPORTIONAL: memory.proportional,
            self.ANONYMOUS: memory.anonymous,
        }


def _completion(server: RunningServer, prompt: list[int], tokens: int, sampling: Mapping[str, Any]) -> Exchange:
    body = {"prompt": prompt, "n_predict": tokens, "stream": True, "ignore_eos": True, "cache_prompt": True}
    return Exchange(server.port, "/completion", body | dict(sampling))


async def answers_to(
    server: RunningServer, prompts: Sequence[list[int]], tokens: int, sampling: Mapping[str, Any]
) -> list[Answer]:
    """All at once; each of them has `tokens` tokens."""
    exchanges = [_completion(server, prompt, tokens, sampling) for prompt in prompts]
    await asyncio.gather(*(exchange.finished() for exchange in exchanges))
    answers = [exchange.answer() for exchange in exchanges]
    for answer in answers:
        if len(answer.arrivals) != tokens:
            raise AnswerFailed(f"{len(answer.arrivals)} tokens instead of {tokens}")
    return answers


async def _speed_of(server: RunningServer, prompt: list[int], expected: list[int]) -> float:
    """Tokens a second between the first and the last. Raises AnswerFailed unless the answer is as expected."""
    (answer,) = await answers_to(server, [prompt], len(expected), GREEDY)
    if list(answer.tokens) != expected:
        raise AnswerFailed(f"tokens {answer.tokens} instead of {expected[0]} and so on")
    return (len(expected) - 1) / (answer.ended - answer.arrivals[0])


def _seconds(answers: Sequence[Answer]) -> float:
    """From the first request to the last token."""
    return max(answer.ended for answer in answers) - min(answer.sent for answer in answers)


def longest_gap(arrivals: Sequence[float], long: Answer) -> float:
    """The longest pause of a stream between the request of a long prompt and its first token.

    Raises AnswerFailed when the stream was over by then.
    """
    during = [
        after - before
        for before, after in itertools.pairwise(arrivals)
        if after > long.sent and before < long.arrivals[0]
    ]
    if arrivals[-1] < long.arrivals[0]:
        raise AnswerFailed("the streams ended before the long prompt was computed")
    return max(during)
