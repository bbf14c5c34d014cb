"""A projector's weights, read by libmtmd where they lie: in a file of their own, or within a larger one.

Refuses to know what is made with them (`projector.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runtime.engine.errors import ProjectorFailed
from runtime.engine.llama.model import LlamaModel
from runtime.engine.settings import ProjectorSettings
from runtime.engine.weights import Weights


def load_projector(
    mtmd: Any, model: LlamaModel, weights: Weights, settings: ProjectorSettings, n_threads: int, callback: Any
) -> Any:
    """libmtmd's context for `model`; ggml asks `callback` before it computes a node of a graph.

    Raises `ProjectorFailed`, `OSError`.
    """
    params = mtmd.mtmd_context_params_default()
    params.cb_eval = callback
    params.use_gpu = settings.use_gpu
    params.print_timings = False
    params.n_threads = n_threads
    params.flash_attn_type = model.lib.LLAMA_FLASH_ATTN_TYPE_AUTO
    if settings.min_tokens is not None:
        params.image_min_tokens = settings.min_tokens
    if settings.max_tokens is not None:
        params.image_max_tokens = settings.max_tokens
    model.logs.clear()
    with _as_a_file(weights) as path:
        handle = mtmd.mtmd_init_from_file(os.fsencode(path), model.handle, params)
    if not handle:
        raise ProjectorFailed(weights.path, model.logs.last_error())
    return handle


@contextmanager
def _as_a_file(weights: Weights) -> Iterator[str]:
    """A path under which `weights` begin at the first byte: their own, or that of a copy in memory, gone afterwards.

    libmtmd takes nothing but a path, and reads all of it into memory of its own.
    """
    if not weights.offset:
        yield str(weights.path)
        return
    copy = os.memfd_create("projector", os.MFD_CLOEXEC)
    try:
        with weights.path.open("rb") as file:
            place, left = weights.offset, (weights.size or os.fstat(file.fileno()).st_size - weights.offset)
            while left > 0:
                sent = os.sendfile(copy, file.fileno(), place, left)
                if not sent:
                    break
                place, left = place + sent, left - sent
        yield f"/proc/self/fd/{copy}"
    finally:
        os.close(copy)
