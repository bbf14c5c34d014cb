"""What there is to say: facts and reasons, without their words for people (`sentences.py`). Sizes are in bytes."""

from __future__ import annotations

from typing import Literal

import msgspec

from runtime.engine.placement import Verdict
from runtime.engine.settings import ContextSource
from runtime.machine.processor import Variant
from runtime.machine.resources import Memory, Processors


class Cache(msgspec.Struct, frozen=True):
    """The folder that programs are unpacked into, and whether its file system lets them run."""

    folder: str
    runs_programs: bool
    free: int


class Machine(msgspec.Struct, frozen=True):
    """The machine, as far as it matters here. `variant` is the one of ggml's that computes, of those that are `there`.

    `there` have titles, "haswell (AVX2)", of ggml's `n_variants`; `missing` is a better one that this processor could
    run, "" where there is none. `processor` "": Linux does not name it.
    """

    system: str
    processor: str
    variant: Variant
    n_variants: int
    there: tuple[str, ...]
    missing: str
    processors: Processors
    numa_nodes: int
    memory: Memory


class DraftModel(msgspec.Struct, frozen=True):
    """What guesses for a model: what it is, and the bytes of its weights and of its own context."""

    description: str
    weights: int
    context: int


class Model(msgspec.Struct, frozen=True):
    """What was decided for a model, and what it takes.

    `lines` say where it computes and why, and what is computed already. Of `weights`, `weights_on_gpus` are there, and
    `repacked` are in memory a second time; the others are `mapped` from the file, or read. `context` is for `n_ctx`
    tokens; 0 for a model that keeps none. `scratch`, by the name of the memory, is what computing takes besides.
    `draft` None: nothing guesses for it.
    `license` and `title` (what the weights call themselves, whatever they are served as) "" where none is named;
    `has_chat_template`: its own, or one that it was given.
    """

    name: str
    description: str
    license: str
    has_chat_template: bool
    lines: tuple[str, ...]
    n_layers: int
    n_layers_on_gpus: int
    n_ctx: int
    n_ctx_train: int
    n_ctx_source: ContextSource
    n_slots: int
    n_threads: int
    n_threads_source: Literal["flag", "machine", "affinity", "quota"]
    numa: str
    weights: int
    weights_on_gpus: int
    mapped: bool
    locked: bool
    repacked: int
    context: int
    context_on_gpus: int
    scratch: tuple[tuple[str, int], ...]
    draft: DraftModel | None = None
    title: str = ""


class Report(msgspec.Struct, frozen=True):
    """All of it. `problem` is the error that a launch ends with, if it does. `cache` None: not for whoever asks.

    `sandbox` says what a server gives up, and why not more. `file` is the bundle's name without its folder, of a server
    that runs from one.
    """

    version: str
    machine: Machine
    backends: tuple[Verdict, ...]
    models: tuple[Model, ...] = ()
    cache: Cache | None = None
    problem: str = ""
    sandbox: tuple[str, ...] = ()
    file: str = ""
