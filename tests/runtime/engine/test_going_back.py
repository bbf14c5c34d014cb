"""Conversations over each kind of memory: their next turn computes what is new, and says what it would have said."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from runtime.engine.cache import WORTH_WAITING
from runtime.engine.engine import Engine
from runtime.engine.settings import ContextSettings
from support.architectures import Architecture, write_model
from support.memories import GENERATIVE, Said, agree, say, with_engine

of_each_memory = pytest.mark.parametrize("architecture", GENERATIVE, ids=lambda one: one.name.lower())

SETTINGS = ContextSettings(2048, 2, 256, 64, 1)
THINK = [7, 8, 9]
"""What a template ends a prompt with, and leaves out of a turn that has been."""


def words(seed: int, n: int) -> list[int]:
    chance = random.Random(seed)
    return [chance.randrange(300, 1000) for _ in range(n)]


@of_each_memory
def test_the_second_turn_of_a_thinking_model_computes_what_is_new(architecture: Architecture, tmp_path: Path) -> None:
    """Its first answer is not what was said: the thoughts are left out."""
    write_model(tmp_path / "model.gguf", architecture)
    asked, answered, new = words(1, 300), words(2, 20), words(3, 25)
    second = [*asked, *answered, *new, *THINK]

    async def body(engine: Engine) -> None:
        await say(engine, [*asked, *THINK], 40)
        said, usage = await say(engine, second)
        assert len(second) - usage.cached_tokens <= len(answered) + len(new) + len(THINK) + 1
        again, usage = await say(engine, second)
        assert len(second) - usage.cached_tokens <= 4, "asked once more"
        anew, usage = await say(engine, second, reuse=False)
        assert usage.cached_tokens == 0
        assert agree(anew, said)
        assert agree(anew, again)

    with_engine(tmp_path / "model.gguf", body, settings=SETTINGS)


@of_each_memory
def test_an_edit_goes_back_to_the_last_turn(architecture: Architecture, tmp_path: Path) -> None:
    """Which is where whoever made the prompt says."""
    write_model(tmp_path / "model.gguf", architecture)
    before, first, other = words(1, 200), words(2, 150), words(3, 40)

    async def body(engine: Engine) -> None:
        await say(engine, [*before, *first], 30, turns=(len(before),))
        said, usage = await say(engine, [*before, *other])
        assert usage.cached_tokens == len(before)
        assert agree((await say(engine, [*before, *other], reuse=False))[0], said)

    with_engine(tmp_path / "model.gguf", body, settings=SETTINGS)


@of_each_memory
def test_a_conversation_is_gone_on_with_after_ten_others(architecture: Architecture, tmp_path: Path) -> None:
    write_model(tmp_path / "model.gguf", architecture)
    histories = [words(seed, 100 + 10 * seed) for seed in range(11)]

    async def body(engine: Engine) -> None:
        for history in histories:
            await say(engine, [*history, *THINK], 30)
        for seed, history in enumerate(histories):
            longer = [*history, *words(100 + seed, 30), *THINK]
            said, usage = await say(engine, longer)
            assert usage.cached_tokens >= len(history) - 1
            if seed % 5 == 0:
                assert agree((await say(engine, longer, reuse=False))[0], said)

    with_engine(tmp_path / "model.gguf", body, settings=SETTINGS, shelf_bytes=2**24)


@of_each_memory
def test_those_that_come_together_compute_what_they_share_once(architecture: Architecture, tmp_path: Path) -> None:
    write_model(tmp_path / "model.gguf", architecture)
    shared = words(1, 300)
    prompts = [[*shared, *words(seed, 40)] for seed in range(2, 8)]

    async def body(engine: Engine) -> None:
        answers = await asyncio.gather(*(say(engine, prompt) for prompt in prompts))
        cached = [usage.cached_tokens for _said, usage in answers]
        assert cached[0] == 0
        assert min(cached[1:]) > len(shared) - WORTH_WAITING
        for prompt, (said, _usage) in zip(prompts, answers, strict=True):
            assert agree((await say(engine, prompt, reuse=False))[0], said)

    with_engine(tmp_path / "model.gguf", body, settings=ContextSettings(4096, 4, 256, 64, 1))


@pytest.mark.parametrize("seed", range(3))
@of_each_memory
def test_whatever_is_reused(architecture: Architecture, seed: int, tmp_path: Path) -> None:
    """Prompts that begin alike, in any order, some at once, over few slots and a small shelf."""
    write_model(tmp_path / "model.gguf", architecture)
    chance = random.Random(seed)
    prompts = [words(seed, 120)]
    for _ in range(11):
        base = chance.choice(prompts)
        prompts.append([*base[: chance.randrange(1, len(base) + 1)], *words(chance.randrange(10**6), 70)])
    order = chance.choices(range(len(prompts)), k=24)

    async def alone(engine: Engine) -> list[Said]:
        return [(await say(engine, prompt, reuse=False))[0] for prompt in prompts]

    async def in_bursts(engine: Engine) -> list[tuple[int, Said]]:
        said = []
        waiting = list(order)
        while waiting:
            burst, waiting = waiting[: (n := chance.randrange(1, 5))], waiting[n:]
            turns = [(chance.randrange(1, len(prompts[i])),) for i in burst]
            answers = await asyncio.gather(
                *(say(engine, prompts[i], turns=turn) for i, turn in zip(burst, turns, strict=True))
            )
            said += [(i, answer) for i, (answer, _usage) in zip(burst, answers, strict=True)]
        return said

    settings = ContextSettings(1024, 3, 256, 64, 1)
    expected = with_engine(tmp_path / "model.gguf", alone, settings=settings)
    for i, said in with_engine(tmp_path / "model.gguf", in_bursts, settings=settings, shelf_bytes=200_000):
        assert agree(expected[i], said), f"prompt {i}"
