"""Where a model computes: on which devices, with how many of its layers, and what is done where that fails.

Puts together what `backends/` knows of the machine and what the engine knows of the weights. Refuses to know how a
model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from runtime.bundle import Backend, Bundle
from runtime.engine.errors import BackendFailed, ContextFailed, ModelLoadFailed
from runtime.engine.facts import LayerSizes
from runtime.engine.placement import Offload, Placement, Verdict, WorkerAddress
from runtime.engine.weights import Weights
from runtime.machine.gpus import has_gpu
from runtime.memory.sizes import Kept
from runtime.settings import EngineSettings, GpuSettings

if TYPE_CHECKING:
    from runtime.backends.fitting import Fit
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
            taker = "workers" if placement.offload is not None and placement.offload.workers else "GPU"
            said += (f"The {taker} could not take {_layers(placement.n_layers)}: {reason}",)
    raise AssertionError("the last placement is the processor's")


def placements(
    bundle: Bundle | None, gpu: GpuSettings, engine: EngineSettings, weights: Weights, draft: Weights | None = None
) -> Iterator[Placement]:
    """What to try, in this order: as many layers as fit, half of them, none.

    Where the model is there as a whole, there is room for the `draft` model, too. Raises `GpuUnavailable` where a flag
    names what is not there, and `WorkerUnreachable`.
    """
    has_no_pack = bundle is None or not bundle.manifest.packs
    if has_no_pack and gpu.backend in ("auto", "disable") and not gpu.devices and not gpu.workers:
        no_pack = "this file has no pack for GPUs (loaf build --backend vulkan)"
        idle, reason = _without_devices(gpu), f": {no_pack}" if has_gpu() else ""
        line = f"{idle} changes nothing: {no_pack}" if idle else f"Computing on the processor{reason}"
        yield Placement(lines=(line,))  # at once: nothing more is imported
        return
    from runtime.backends.fitting import fit
    from runtime.engine.llama.layers import layer_sizes

    devices = _prepare_and_load(bundle, gpu)
    if not devices.names:
        yield Placement(lines=(devices.sentence,), verdicts=devices.verdicts)
        return
    _check_shares(gpu, len(devices.names))
    _check_buffers(gpu, devices.buffers)
    free = tuple(_besides(gpu, number, free) for number, free in enumerate(devices.free))
    used, shares = (free, gpu.tensor_split) if gpu.split_mode != "none" else ((free[gpu.main_gpu],), ())
    sizes = layer_sizes(weights)
    if sizes is not None:  # else ggml cannot read them, and loading will say why
        whole = len(sizes.layers) + 1
        kept = partial(_kept_there, engine, sizes)
        beside = layer_sizes(draft) if draft is not None else None
        fitting = fit(sizes, engine.n_ctx, kept, used, shares, beside, gpu.cpu_experts)
        for n_layers, experts in _tries(sizes, gpu, fitting, whole):
            offload = Offload(
                devices.library,
                devices.numbers,
                n_layers,
                gpu.split_mode,
                gpu.main_gpu,
                gpu.tensor_split,
                devices.workers,
                gpu.tensor_buffers,
                experts,
            )
            why = "as -ngl says" if n_layers == gpu.n_layers else f"{sum(used) / 1e9:.1f} GB are free there"
            line = f"On {' and '.join(devices.names)}: {_share(n_layers, whole, why, experts)}"
            is_whole = n_layers == whole and not experts and not gpu.tensor_buffers
            yield Placement(offload, fitting.n_ctx, is_whole, (line,), devices.verdicts)
    no_devices = Offload(devices.library, (), 0)
    line = f"Computing on the processor: no layer fits {'the workers' if devices.workers else 'the GPU'}"
    yield Placement(no_devices, lines=(line,), verdicts=devices.verdicts)


def _without_devices(gpu: GpuSettings) -> str:
    """The flag that says what of the model goes where, if one does, and there is nowhere to go."""
    if gpu.n_layers:
        return "-ngl"
    return "--override-tensor" if gpu.tensor_buffers else "--n-cpu-moe" if gpu.cpu_experts else ""


def _kept_there(engine: EngineSettings, sizes: LayerSizes, n_ctx: int) -> Kept:
    """What of the text is kept beside the layers on devices."""
    kept = engine.kept(sizes, n_ctx)
    return kept if engine.cache_beside_layers else msgspec.structs.replace(kept, bits_k=0, bits_v=0)


def _tries(sizes: LayerSizes, gpu: GpuSettings, fitting: Fit, whole: int) -> Iterator[tuple[int, int]]:
    """Layers on the devices, and of how many the experts stay on the processor: by the estimate, then with less."""
    if gpu.n_layers is not None:
        first, experts = min(gpu.n_layers, whole), gpu.cpu_experts or 0
    else:
        first, experts = fitting.n_layers, fitting.cpu_experts
    experts = min(experts, len(sizes.layers))
    is_free = gpu.cpu_experts is None and any(sizes.experts)
    without_any = len(sizes.layers) if is_free else experts
    for n_layers, left in dict.fromkeys(((first, experts), (first, without_any), (first // 2, without_any))):
        if n_layers:
            yield n_layers, left


class _Devices(msgspec.Struct, frozen=True):
    """What computes, as `Offload` has it; a name and the free bytes of each. None: for the reason in `sentence`.

    `buffers` are the names of where tensors can be.
    """

    library: Path | None = None
    numbers: tuple[int, ...] = ()
    workers: tuple[WorkerAddress, ...] = ()
    names: tuple[str, ...] = ()
    free: tuple[int, ...] = ()
    sentence: str = ""
    verdicts: tuple[Verdict, ...] = ()
    buffers: tuple[str, ...] = ()


def _prepare_and_load(bundle: Bundle | None, gpu: GpuSettings) -> _Devices:
    """What computes, loaded and connected. Raises `GpuUnavailable`, `WorkerUnreachable`."""
    from runtime.backends.workers import find, labelled
    from runtime.engine.llama.devices import buffer_types, free_memory, own_devices, remote_devices

    found = find(gpu.workers if gpu.n_layers != 0 else ())
    prepared = own_backend(bundle, gpu)
    own = own_devices(prepared.library, prepared.numbers) if prepared.library is not None else ()
    workers = tuple(worker.address for worker in found)
    told = (Verdict("RPC", True, f"computing on {' and '.join(map(str, workers))}"),) if workers else ()
    return _Devices(
        prepared.library,
        prepared.numbers,
        workers,
        (
            *(f"{label} ({worker.address})" for label, worker, _device in labelled(found)),
            *(f"{device.label} ({device.name})" for device in prepared.devices),
        ),
        tuple(map(free_memory, (*remote_devices(workers), *own))),
        prepared.sentence,
        (*told, *prepared.verdicts),
        tuple(buffer_types((*remote_devices(workers), *own))) if gpu.tensor_buffers else (),
    )


def own_backend(bundle: Bundle | None, gpu: GpuSettings) -> Prepared:
    """The backend of this machine that computes, loaded. What does not load is passed over. Raises `GpuUnavailable`."""
    from runtime.backends.preparing import prepare
    from runtime.engine.llama.devices import own_devices

    failed: dict[Backend, str] = {}
    while True:
        prepared = prepare(bundle, gpu, failed)
        if prepared.library is None:
            return prepared
        try:
            own_devices(prepared.library, prepared.numbers)
            return prepared
        except BackendFailed as error:
            failed[prepared.devices[0].backend] = error.message


def _check_shares(gpu: GpuSettings, n_devices: int) -> None:
    """Refuse here what llama.cpp would not, or not tell why."""
    from runtime.backends.choosing import GpuUnavailable

    if gpu.main_gpu >= n_devices:
        raise GpuUnavailable("--main-gpu", f"there is no {gpu.main_gpu}", f"There are 0 to {n_devices - 1}.")
    if len(gpu.tensor_split) > n_devices:
        raise GpuUnavailable(
            "--tensor-split", f"{len(gpu.tensor_split)} shares for {n_devices} in use", "Give one a device."
        )

    if len(gpu.spare) > n_devices:
        raise GpuUnavailable("--fit-target", f"{len(gpu.spare)} margins for {n_devices} in use", "Give one a device.")


def _check_buffers(gpu: GpuSettings, there: tuple[str, ...]) -> None:
    from runtime.backends.choosing import GpuUnavailable

    for one in gpu.tensor_buffers:
        if one.buffer not in there:
            raise GpuUnavailable("--override-tensor", f"there is no {one.buffer}", f"There are: {', '.join(there)}.")


def _besides(gpu: GpuSettings, number: int, free: int) -> int:
    """What of the `free` bytes of a device there is for the model, where `fit` leaves alone `SPARE` of it."""
    from runtime.backends.fitting import SPARE

    if not gpu.spare:
        return free
    margin = gpu.spare[0] if len(gpu.spare) == 1 else (*gpu.spare, *[SPARE] * (number + 1))[number]
    return max(free + SPARE - margin, 0)


def _share(n_layers: int, whole: int, why_not_more: str, cpu_experts: int) -> str:
    but = f", but the experts of {cpu_experts} on the processor" if cpu_experts else ""
    if n_layers == whole:
        return f"all {_layers(whole)}{but}"
    return f"{n_layers} of {_layers(whole)} ({why_not_more}){but}, the others on the processor"


def _layers(count: int) -> str:
    return f"{count} layer{'s' if count != 1 else ''}"
