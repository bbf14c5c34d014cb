"""Draft models through llama.cpp: the text is that of the model alone, whatever is guessed, sampled or not."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from runtime.engine.engine import Engine
from runtime.engine.errors import DraftMisfit
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.drafter import Draft, check_draft
from runtime.engine.llama.loading import load_model
from runtime.engine.llama.model import LlamaModel
from runtime.engine.settings import ContextSettings, LoadSettings
from runtime.engine.types import FinishedEvent, GenerationRequest, Sampling, TokenEvent, Usage
from runtime.engine.weights import Weights
from runtime.engine.worth import Record, Worth
from support.architectures import Architecture, write_model
from support.places import BENCHMARKS

sys.path.append(str(BENCHMARKS))

from shapes import Llama
from vocabularies import sentence_pieces
from weights import Q8_0, write_noise

GREEDY = Sampling(temperature=0.0, ignore_eos=True)
TOKENS = 40


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guess whenever it is possible: on a machine with other things to do, what is worth it is anybody's guess."""

    def depth(_self: Worth, _record: Record, _behind: int, _generated: int, at_most: int) -> int:
        return at_most

    monkeypatch.setattr(Worth, "depth", depth)


def load(path: Path) -> LlamaModel:
    return load_model(Weights(path), LoadSettings(), threading.Event())


def open_with(path: Path, draft: Path | None, least_probability: float) -> LlamaBackend:
    settings = ContextSettings(
        1024, 4, 128, 64, 1, max_draft=0 if draft is None else 5, least_probability=least_probability
    )
    guesses = None if draft is None else Draft(Weights(draft), load(draft))
    return LlamaBackend(load(path), settings, draft=guesses)


Answers = list[tuple[tuple[int, ...], Usage]]


def answers(
    path: Path,
    draft: Path | None,
    prompts: Sequence[Sequence[int]],
    samplings: Sequence[Sampling] = (GREEDY,),
    least_probability: float = 0.0,
) -> Answers:
    """What is said after all `prompts` at once, with each of `samplings`."""

    async def one(engine: Engine, prompt: Sequence[int], sampling: Sampling) -> tuple[tuple[int, ...], Usage]:
        said: tuple[int, ...] = ()
        async for event in engine.submit(
            GenerationRequest(tuple(prompt), TOKENS, sampling=sampling, reuse_prefix=False)
        ):
            if isinstance(event, TokenEvent):
                said += event.tokens
            if isinstance(event, FinishedEvent):
                return said, event.usage
        raise AssertionError("no FinishedEvent")

    async def all_of_them(engine: Engine) -> Answers:
        return [
            answer
            for sampling in samplings
            for answer in await asyncio.gather(*(one(engine, prompt, sampling) for prompt in prompts))
        ]

    engine = Engine(lambda: open_with(path, draft, least_probability))
    engine.start()
    engine.ready.result(60)
    try:
        return asyncio.run(all_of_them(engine))
    finally:
        engine.stop()
        engine.join(20)


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models that count: `model`, and drafts of it that are right always, seven times in ten, and never."""
    folder = tmp_path_factory.mktemp("counting")
    sizes = {"layers": 1, "width": 64, "hidden": 128, "heads": 2, "kv_heads": 2, "counts": True}
    for name, errs in {"model": 0.0, "right": 0.0, "often": 0.3, "never": 1.0}.items():
        write_noise(folder / f"{name}.gguf", Llama(**sizes, errs=errs), sentence_pieces(800), Q8_0)
    return {path.stem: path for path in folder.iterdir()}


PROMPTS = ([400, 401], [500] * 70, [450, 20, 30])


def test_a_draft_model_that_is_always_right(counting: dict[str, Path]) -> None:
    alone = answers(counting["model"], None, PROMPTS)
    drafted = answers(counting["model"], counting["right"], PROMPTS)
    assert [said for said, _usage in drafted] == [said for said, _usage in alone]
    assert alone[0][0][:3] == (402, 403, 404), "it counts"
    for _said, usage in drafted:
        assert usage.accepted_tokens == usage.drafted_tokens >= TOKENS * 5 // 6 - 5


@pytest.mark.parametrize(("draft", "share"), [("often", 0.9), ("never", 0.0)])
def test_one_that_errs(counting: dict[str, Path], draft: str, share: float) -> None:
    alone = answers(counting["model"], None, PROMPTS)
    drafted = answers(counting["model"], counting[draft], PROMPTS)
    assert [said for said, _usage in drafted] == [said for said, _usage in alone]
    right, guessed = (sum(getattr(usage, f"{kind}_tokens") for _, usage in drafted) for kind in ("accepted", "drafted"))
    assert guessed > 0
    assert right <= share * guessed


def test_what_is_sampled_is_what_would_have_been(counting: dict[str, Path]) -> None:
    """Each token comes out of the model's own probabilities, with the same random number: a seed says the same.

    So the distribution is the same, too, whatever the guesses are.
    """
    seeds = [Sampling(temperature=1.5, top_k=0, min_p=0.02, seed=seed, ignore_eos=True) for seed in range(24)]
    alone = answers(counting["model"], None, PROMPTS[:1], seeds)
    assert len({said for said, _usage in alone}) > 15, "there is something to be sampled"
    for draft in ("right", "often", "never"):
        drafted = answers(counting["model"], counting[draft], PROMPTS[:1], seeds)
        assert [said for said, _usage in drafted] == [said for said, _usage in alone]


def test_guesses_that_are_not_probable_enough(counting: dict[str, Path]) -> None:
    (_said, usage), *_rest = answers(counting["model"], counting["right"], PROMPTS, least_probability=1.0)
    assert usage.drafted_tokens == 0


@pytest.mark.parametrize(
    "architecture", [Architecture.ATTENTION, Architecture.SLIDING_WINDOW], ids=lambda one: one.value
)
def test_memories_that_guesses_are_taken_back_from(architecture: Architecture, tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf", architecture)
    prompts = ([5, 6, 7, 8] * 30, [9, 10])
    alone, drafted = answers(path, None, prompts), answers(path, path, prompts)
    assert [said for said, _usage in drafted] == [said for said, _usage in alone]
    assert sum(usage.accepted_tokens for _said, usage in drafted) > TOKENS


def test_one_with_other_tokens_is_refused(counting: dict[str, Path], demo_gguf: Path, tmp_path: Path) -> None:
    recurrent = write_model(tmp_path / "mamba.gguf", Architecture.RECURRENT)
    cases = [(counting["model"], demo_gguf, "tokens"), (demo_gguf, recurrent, "memory")]
    for path, draft, says in cases:
        model, guesses = load(path), load(draft)
        try:
            with pytest.raises(DraftMisfit, match=says) as raised:
                check_draft(Draft(Weights(draft), guesses), model)
            assert raised.value.path == draft
            assert "same family" in raised.value.hint
        finally:
            guesses.close()
            model.close()
