"""Cases of `scripts/bench serve` that count tokens, not seconds: how much of a conversation is computed again.

What a server has computed of a text before it need not compute anew, as far as the model's memory lets it go back
there. Answers tell in `timings` what they took: `prompt_n` tokens computed, `cache_n` reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cases import GREEDY, Prompts
from processes import RunningServer
from report import Unit
from streams import Exchange

_ANSWER = 24


@dataclass(frozen=True, slots=True)
class Turns:
    """A conversation of two turns, whose first answer the template renders otherwise than it was said; then an edit.

    700 tokens are asked first; then 1,200, of which those are the beginning; then 1,240 that go on from all but the
    answer; then 740 that go on from the first 700.
    """

    name: str
    prompts: Prompts

    @property
    def second(self) -> str:
        return f"{self.name}, second turn: computed"

    @property
    def edit(self) -> str:
        return f"  an edit 500 tokens back ({self.name})"

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.second: "tokens", self.edit: "tokens"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        text = self.prompts.random(f"{self.name} {number}", 1200)
        new = self.prompts.random(f"{self.name} new {number}", 80)
        await _timings(server, text[:700])
        await _timings(server, text)
        second = await _timings(server, [*text, *new[:40]])
        edit = await _timings(server, [*text[:700], *new[40:]])
        return {self.second: second["prompt_n"], self.edit: edit["prompt_n"]}


@dataclass(frozen=True, slots=True)
class TakingTurns:
    """Twenty conversations go on one after the other, each with 300 tokens and then with 20 more, on few slots."""

    prompts: Prompts

    COUNT = 20
    REUSED = "twenty conversations take turns: reused"

    @property
    def rows(self) -> dict[str, Unit]:
        return {self.REUSED: "tokens"}

    async def measure(self, server: RunningServer, number: int) -> dict[str, float]:
        texts = [self.prompts.random(f"turns {number} {each}", 320) for each in range(self.COUNT)]
        for text in texts:
            await _timings(server, text[:300])
        return {self.REUSED: sum([(await _timings(server, text))["cache_n"] for text in texts])}


async def _timings(server: RunningServer, prompt: list[int]) -> dict[str, Any]:
    """What it took to answer `prompt` with a few tokens."""
    body = {"prompt": prompt, "n_predict": _ANSWER, "ignore_eos": True, "cache_prompt": True, **GREEDY}
    exchange = Exchange(server.port, "/completion", body)
    await exchange.finished()
    timings: dict[str, Any] = exchange.content()["timings"]
    return timings
