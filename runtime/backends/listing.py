"""`--list-devices`: the devices that the packs in the file can compute on, for people."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.backends.detection import detect_anew
from runtime.backends.devices import TITLES
from runtime.backends.preparing import packs_for_here
from runtime.backends.unpacking import cache_folder
from runtime.backends.workers import find, labelled
from runtime.bundle import Bundle
from runtime.engine.placement import WorkerAddress


def describe_devices(bundle: Bundle | None, workers: tuple[WorkerAddress, ...]) -> Iterator[str]:
    """A line each, after every worker and every driver has been asked again: what is free is free now.

    Raises `WorkerUnreachable`.
    """
    for label, worker, remote in labelled(find(workers)):
        yield f"{label}: {worker.address} ({remote.total >> 20} MiB, {remote.free >> 20} MiB free), a worker"
    packs = packs_for_here(bundle)
    if not packs and not workers:
        yield "This file has no pack for GPUs: loaf build --backend vulkan puts one in."
    for report in detect_anew(tuple(pack.backend for pack in packs), cache_folder()):
        for device in report.devices:
            mebibytes = f"{device.total >> 20} MiB, {device.free >> 20} MiB free"
            yield f"{device.label}: {device.name} ({mebibytes}), {device.kind}, {device.driver}"
        if not report.devices:
            yield f"{TITLES[report.backend]}: {report.problem or 'its driver lists no device'}"
