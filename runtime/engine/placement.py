"""Where a model computes: on the processor, on GPUs, on other machines, and why.

Structures only: who decides it is `runtime/offloading/`. Refuses to know drivers, and what a model is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec

SplitMode = Literal["none", "layer"]
"""How several devices share a model: llama.cpp's `llama_split_mode`, in its order."""


class WorkerAddress(msgspec.Struct, frozen=True):
    """Where another machine computes for this one, by llama.cpp's RPC protocol: a name or an IPv4 address, and a port.

    `label` is what people are told where they gave it otherwise.
    """

    host: str
    port: int
    label: str = ""

    @property
    def endpoint(self) -> str:
        """As ggml wants it."""
        return f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return self.label or self.endpoint


EXPERTS_PATTERN = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""The weights of a mixture's experts, by the names of their tensors: LLM_FFN_EXPS_REGEX in llama.cpp's common.h."""

EXPERTS = re.compile(EXPERTS_PATTERN.encode())

PROCESSOR = "CPU"
"""What ggml calls the processor's memory."""


class TensorBuffer(msgspec.Struct, frozen=True):
    """Tensors whose names match `pattern` (ECMAScript, somewhere in them) go to what ggml calls `buffer`: "CPU"."""

    pattern: str
    buffer: str


class Offload(msgspec.Struct, frozen=True):
    """Layers on GPUs and on other machines: the last `n_layers`, counting the output as one.

    They go to all devices of `workers`, then to those of the backend in `library`: `numbers` are these as ggml's
    registry of that backend counts them. `tensor_split` has a share for each, empty: by what is free there; `main_gpu`
    is an index into them, for `split_mode` none. `tensor_buffers` go elsewhere than their layer, the first that
    matches counts; the experts of the first `cpu_experts` layers stay on the processor.
    """

    library: Path | None
    numbers: tuple[int, ...]
    n_layers: int
    split_mode: SplitMode = "layer"
    main_gpu: int = 0
    tensor_split: tuple[float, ...] = ()
    workers: tuple[WorkerAddress, ...] = ()
    tensor_buffers: tuple[TensorBuffer, ...] = ()
    cpu_experts: int = 0

    def buffers(self) -> tuple[TensorBuffer, ...]:
        """All that goes elsewhere, experts too."""
        of_layers = (rf"blk\.{layer}{EXPERTS_PATTERN}" for layer in range(self.cpu_experts))
        return (*self.tensor_buffers, *(TensorBuffer(pattern, PROCESSOR) for pattern in of_layers))


class Verdict(msgspec.Struct, frozen=True):
    """Whether a backend, by its name for people, computes, and why in a clause."""

    backend: str
    is_taken: bool
    reason: str


class Placement(msgspec.Struct, frozen=True):
    """Where a model computes, and why, in lines for people. `n_ctx`: what context fits there; None: anything.

    `offload` None: on the processor, with no GPU's backend loaded. `is_whole`: nothing is left for the processor.
    `verdicts` are on the backends that the file has packs for, as far as they were asked.
    """

    offload: Offload | None = None
    n_ctx: int | None = None
    is_whole: bool = False
    lines: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def n_layers(self) -> int:
        """Layers on GPUs, counting the output as one."""
        return self.offload.n_layers if self.offload is not None else 0


ON_THE_PROCESSOR = Placement()
"""With nothing to be said of it."""
