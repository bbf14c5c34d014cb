"""The engine over each kind of memory that llama.cpp has: what is reused changes nothing in what is said.

Attention, sliding windows, recurrent and hybrid models of random weights, and LoRA adapters
(`tests/support/architectures.py`).
"""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import pytest

from runtime.engine.engine import Engine
from runtime.engine.errors import AdapterFailed, ModelLoadFailed
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import LoadSettings
from runtime.engine.types import Usage
from runtime.engine.weights import Adapter, Weights
from support.adapters import write_lora
from support.architectures import Architecture, write_model
from support.engine_runs import vectors_of
from support.memories import GENERATIVE, STATEFUL, Said, agree, say, with_engine


def prompts() -> list[list[int]]:
    """Conversations that begin alike, go on, and go back."""
    chance = random.Random(5)
    word = [chance.randrange(300, 1000) for _ in range(400)]
    return [
        word[:60],
        word[:60],
        word[:90],
        [*word[:30], *word[200:240]],
        word[:200],
        [*word[:195], *word[300:305]],
        word[:50],
        [*word[:90], *word[250:330]],
        word[100:160],
    ]


@pytest.mark.parametrize("architecture", GENERATIVE, ids=lambda one: one.name.lower())
def test_what_is_reused_changes_nothing(architecture: Architecture, tmp_path: Path) -> None:
    write_model(tmp_path / "model.gguf", architecture)

    async def alone(engine: Engine) -> list[Said]:
        return [(await say(engine, prompt, reuse=False))[0] for prompt in prompts()]

    async def one_after_another(engine: Engine) -> list[tuple[Said, Usage]]:
        return [await say(engine, prompt) for prompt in prompts()]

    async def all_at_once(engine: Engine) -> list[tuple[Said, Usage]]:
        return list(await asyncio.gather(*(say(engine, prompt) for prompt in prompts())))

    expected = with_engine(tmp_path / "model.gguf", alone)
    in_turn = with_engine(tmp_path / "model.gguf", one_after_another)
    together = with_engine(tmp_path / "model.gguf", all_at_once)
    for run in (in_turn, together):
        for i, (said, _usage) in enumerate(run):
            assert agree(expected[i], said), f"prompt {i}"
    reused = sum(usage.cached_tokens for _said, usage in in_turn)
    assert reused > (300 if architecture in STATEFUL else 500)


@pytest.mark.parametrize("architecture", STATEFUL, ids=lambda one: one.name.lower())
def test_a_state_is_continued_where_it_ends(architecture: Architecture, tmp_path: Path) -> None:
    """As a conversation does: the answer is part of the next prompt."""
    write_model(tmp_path / "model.gguf", architecture)

    async def body(engine: Engine) -> None:
        prompt = prompts()[0]
        said, _usage = await say(engine, prompt)
        longer = [*prompt, *(one.sampled.token for one in said), 400, 401]
        again, usage = await say(engine, longer)
        assert usage.cached_tokens == len(prompt) + len(said) - 1
        assert agree((await say(engine, longer, reuse=False))[0], again)

    with_engine(tmp_path / "model.gguf", body)


# -- adapters -------------------------------------------------------------------------------------------------


def test_adapters_change_what_is_said_each_request_as_it_wishes(tmp_path: Path) -> None:
    write_model(tmp_path / "model.gguf", Architecture.ATTENTION)
    for name, seed in (("one", 1), ("two", 2)):
        write_lora(tmp_path / f"{name}.gguf", seed=seed, rank=4)
    padding = b"as in a bundle, somewhere in a file" * 100
    (tmp_path / "bundle").write_bytes(padding.ljust(65536, b"\0") + (tmp_path / "two.gguf").read_bytes())
    adapters = (
        Adapter("one", Weights(tmp_path / "one.gguf")),
        Adapter("two", Weights(tmp_path / "bundle", 65536), scale=0.0),
    )
    prompt = prompts()[0]

    async def body(engine: Engine) -> None:
        scales = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
        alone = [(await say(engine, prompt, 12, scales=one))[0] for one in scales]
        for i, said in enumerate(alone):
            assert not any(agree(said, other) for other in alone[:i]), "the adapters change nothing"
        assert agree(alone[1], (await say(engine, prompt, 12))[0]), "their own scales are in force at first"
        together = await asyncio.gather(*(say(engine, prompt, 12, scales=one) for one in scales * 2))
        for expected, (said, _usage) in zip(alone * 2, together, strict=True):
            assert agree(expected, said)
        engine.set_scales((0.0, 1.0))
        said, usage = await say(engine, prompt, 12)
        assert agree(alone[2], said)
        assert usage.cached_tokens, "what was computed with the same scales is of use"

    with_engine(tmp_path / "model.gguf", body, adapters=adapters)


def test_an_adapter_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "model.gguf", Architecture.ATTENTION)
    write_model(tmp_path / "other.gguf", Architecture.RECURRENT)
    write_lora(tmp_path / "lora.gguf", seed=1, rank=4)
    (tmp_path / "cut.gguf").write_bytes((tmp_path / "lora.gguf").read_bytes()[:500])
    for model, adapter in (("model", "other"), ("other", "lora"), ("model", "cut")):
        with pytest.raises(AdapterFailed, match=adapter):
            load_model(
                Weights(tmp_path / f"{model}.gguf"),
                LoadSettings(),
                threading.Event(),
                [Adapter(adapter, Weights(tmp_path / f"{adapter}.gguf"))],
            )
    with pytest.raises(ModelLoadFailed):
        load_model(Weights(tmp_path / "lora.gguf"), LoadSettings(), threading.Event())


# -- encoders -------------------------------------------------------------------------------------------------


def test_an_encoder_gives_each_text_its_score(tmp_path: Path) -> None:
    write_model(tmp_path / "model.gguf", Architecture.RERANKER)
    chance = random.Random(1)
    texts = tuple(tuple(chance.randrange(5, 20) for _ in range(chance.randrange(1, 30))) for _ in range(150))

    async def body(engine: Engine) -> None:
        together = await engine.embed(vectors_of(*texts))
        assert together.pooling == "rank"
        assert [len(vectors[0]) for vectors in together.vectors] == [1] * 150
        for text, vectors in list(zip(texts, together.vectors, strict=True))[::15]:
            alone = await engine.embed(vectors_of(text))
            assert alone.vectors[0][0].tolist() == pytest.approx(vectors[0].tolist(), abs=5e-3)

    with_engine(tmp_path / "model.gguf", body)
