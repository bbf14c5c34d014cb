"""Where a model computes: on which devices, with how many of its layers, and what is done where that fails.

Puts together what `backends/` knows of the machine and what the engine knows of the weights. Refuses to know how a
model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import msgspec

from runtime.bundle import Backend, Bundle
from runtime.engine.backend import Offload, Placement, Weights
from runtime.engine.errors import BackendFailed, ContextFailed, ModelLoadFailed
from runtime.settings import EngineSettings, GpuSettings

if TYPE_CHECKING:
    from runtime.backends.preparing import Prepared

Opened = TypeVar("Opened")


def open_where_it_fits(placements: Iterable[Placement], open_with: Callable[[Placement], Opened]) -> Opened:
    """What `open_with` makes of the first of `placements` with which it does not fail; each failure is said in it.

    A failure on the processor alone is raised: that is the weights' own.
    """
    said: tuple[str, ...] = ()
    for placement in placements:
        try:
            return open_with(msgspec.structs.replace(placement, lines=(*said, *placement.lines)))
        except (ModelLoadFailed, ContextFailed) as error:
            if placement.n_layers == 0:
                raise
            reason = error.reason or "not enough memory"
            said += (f"The GPU could not take {_layers(placement.n_layers)}: {reason}",)
    raise AssertionError("the last placement is the processor's")


def placements(
    bundle: Bundle | None, gpu: GpuSettings, engine: EngineSettings, weights: Weights
) -> Iterator[Placement]:
    """What to try, in this order: as many layers as fit, half of them, none.

    Raises `GpuUnavailable` where a flag names what is not there.
    """
    if (bundle is None or not bundle.manifest.packs) and gpu.backend in ("auto", "disable") and not gpu.devices:
        in_vain = "-ngl changes nothing: this file has no pack for GPUs (loaf build --backend vulkan)"
        yield Placement(lines=(in_vain,) if gpu.n_layers else ())  # at once: nothing more is imported
        return
    from runtime.backends.fitting import fit
    from runtime.engine.llama.layers import layer_sizes

    prepared, free = _prepare_and_load(bundle, gpu)
    if prepared.library is None:
        yield Placement(lines=(prepared.sentence,))
        return
    _check_shares(gpu, len(free))
    used, shares = (free, gpu.tensor_split) if gpu.split_mode != "none" else ((free[gpu.main_gpu],), ())
    sizes = layer_sizes(weights, engine.cache_type_k, engine.cache_type_v)
    if sizes is not None:  # else ggml cannot read them, and loading will say why
        whole = len(sizes.layers) + 1
        fitting = fit(sizes, engine.n_ctx, engine.n_ubatch, used, shares)
        first = fitting.n_layers if gpu.n_layers is None else min(gpu.n_layers, whole)
        for n_layers in dict.fromkeys((first, first // 2)):
            if n_layers:
                offload = Offload(
                    prepared.library, prepared.numbers, n_layers, gpu.split_mode, gpu.main_gpu, gpu.tensor_split
                )
                names = " and ".join(f"{device.label} ({device.name})" for device in prepared.devices)
                line = f"On {names}: {_share(n_layers, whole, sum(used))}"
                yield Placement(offload, fitting.n_ctx, n_layers == whole, (line,))
    no_devices = Offload(prepared.library, (), 0)
    yield Placement(no_devices, lines=("Computing on the processor: no layer fits the GPU",))


def _prepare_and_load(bundle: Bundle | None, gpu: GpuSettings) -> tuple[Prepared, tuple[int, ...]]:
    """What computes, loaded, and the bytes that are free on each of its devices. What does not load is passed over."""
    from runtime.backends.preparing import prepare
    from runtime.engine.llama.devices import load_backend

    failed: dict[Backend, str] = {}
    while True:
        prepared = prepare(bundle, gpu, failed)
        if prepared.library is None:
            return prepared, ()
        try:
            devices = load_backend(prepared.library)
            return prepared, tuple(devices.free(number) for number in prepared.numbers)
        except BackendFailed as error:
            failed[prepared.devices[0].backend] = error.message


def _check_shares(gpu: GpuSettings, n_devices: int) -> None:
    """Refuse here what llama.cpp would not, or not tell why."""
    from runtime.backends.choosing import GpuUnavailable

    if gpu.main_gpu >= n_devices:
        raise GpuUnavailable("--main-gpu", f"there is no {gpu.main_gpu}: {n_devices} in use, from 0 on", "")
    if len(gpu.tensor_split) > n_devices:
        raise GpuUnavailable("--tensor-split", f"{len(gpu.tensor_split)} shares for {n_devices} in use", "")


def _share(n_layers: int, whole: int, free: int) -> str:
    if n_layers == whole:
        return f"all {_layers(whole)}"
    return f"{n_layers} of {_layers(whole)} ({free / 1e9:.1f} GB are free there), the others on the processor"


def _layers(count: int) -> str:
    return f"{count} layer{'s' if count != 1 else ''}"
