"""Ollama's `options`, and its defaults, as the fields that all dialects sample by.

Knows names and types. What a value may be is `runtime/server/sampling.py`'s to know.
"""

from __future__ import annotations

import msgspec

from runtime.engine.types import Sampling
from runtime.server.generating import GenerationFields
from runtime.server.lenient.numbers import NumbersInText

Whole = int | float
"""A whole number. Clients written in JavaScript and Go send it with a fraction; Ollama cuts that off."""

_NUM_KEEP = 4
_SAMPLING = {"top_p": 0.9, "min_p": 0.0}
"""Ollama's defaults, where they are not llama.cpp's (`DefaultOptions` in its api/types.go)."""

_UNTIL_FULL = -2


class Options(NumbersInText):
    """All that Ollama has had. Null counts as absent, and others are ignored, as there.

    Those of the second part say how to load a model, or were taken out of Ollama: they change nothing, but must be of
    their type.
    """

    num_keep: Whole | None = None
    seed: Whole | None = None
    num_predict: Whole | None = None
    top_k: Whole | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repeat_last_n: Whole | None = None
    temperature: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    mirostat: Whole | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    stop: str | list[str] | None = None

    numa: bool | None = None
    num_ctx: Whole | None = None
    num_batch: Whole | None = None
    num_gpu: Whole | None = None
    main_gpu: Whole | None = None
    num_thread: Whole | None = None
    low_vram: bool | None = None
    f16_kv: bool | None = None
    logits_all: bool | None = None
    vocab_only: bool | None = None
    use_mmap: bool | None = None
    use_mlock: bool | None = None
    embedding_only: bool | None = None
    tfs_z: float | None = None
    penalize_newline: bool | None = None


def generation_fields(options: Options, n_probs: int) -> GenerationFields:
    """The same under llama-server's names."""
    keep = _whole(options.num_keep)
    return GenerationFields(
        seed=_whole(options.seed),
        top_k=_whole(options.top_k),
        top_p=options.top_p,
        min_p=options.min_p,
        typical_p=options.typical_p,
        repeat_last_n=_whole(options.repeat_last_n),
        temperature=options.temperature,
        repeat_penalty=options.repeat_penalty,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        mirostat=_whole(options.mirostat),
        mirostat_tau=options.mirostat_tau,
        mirostat_eta=options.mirostat_eta,
        stop=options.stop,
        n_keep=max(_NUM_KEEP if keep is None else keep, -1),
        n_probs=n_probs,
    )


def default_sampling(ours: Sampling) -> Sampling:
    """Ollama's defaults, but for what the server was told to do otherwise (`ours`)."""
    untold = Sampling()
    theirs = {name: value for name, value in _SAMPLING.items() if getattr(ours, name) == getattr(untold, name)}
    return msgspec.structs.replace(ours, **theirs)


def max_tokens(options: Options, default: int | None) -> int | None:
    """How many tokens to generate: none and less is no limit but `default`, -2 none but the context."""
    given = _whole(options.num_predict)
    if given == _UNTIL_FULL:
        return None
    return default if given is None or given <= 0 else given


def _whole(value: Whole | None) -> int | None:
    return None if value is None else int(value)
