"""This machine, as a report has it: for a launch, and for `loaf doctor`, which has no llama.cpp to ask."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection

from runtime.backends.detection import PATIENT_SECONDS, ask
from runtime.backends.devices import TITLES, Report
from runtime.backends.libraries import why_no_driver_fits
from runtime.backends.unpacking import cache_folder
from runtime.bundle import Backend
from runtime.engine.placement import Verdict
from runtime.explaining.report import Cache, Machine
from runtime.machine.c_library import describe_c_library
from runtime.machine.processor import best_variant, describe_variant, read_processor
from runtime.machine.resources import memory, numa_nodes, processors, runs_programs
from runtime.machine.variants import family_of

_ASKED: tuple[Backend, ...] = ("cuda", "rocm", "vulkan")
"""Metal is macOS's."""


def describe_machine(variant: str | None = None, there: Collection[str] = ()) -> Machine:
    """`variant` is the name of the one that has been loaded; None: what would be, by what Linux says.

    `there` are those that were compiled; empty: all that ggml has.
    """
    uname = os.uname()
    every, family = family_of(uname.machine), family_of(uname.machine, there)
    name, flags = read_processor()
    best = best_variant(every, flags)
    return Machine(
        system=f"{uname.sysname} {uname.release} on {uname.machine}, {describe_c_library()}",
        processor=name,
        variant=describe_variant(family, variant or best_variant(family, flags), flags),
        n_variants=len(every.variants),
        there=tuple(map(family.title, family.variants)),
        missing="" if best in family.variants or best not in every.variants else every.title(best),
        processors=processors(),
        numa_nodes=numa_nodes(),
        memory=memory(),
    )


def describe_cache() -> Cache:
    """Where bundles unpack their program, as the launcher chooses it."""
    folder = cache_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return Cache(str(folder), runs_programs(folder), shutil.disk_usage(there).free)


def describe_devices(told: tuple[Verdict, ...] = ()) -> tuple[Verdict, ...]:
    """Verdicts on the backends that are not in `told`, for which no pack is in the file: what their drivers say.

    One on all of them where no driver of this system can be loaded.
    """
    if problem := why_no_driver_fits():
        return () if any(verdict.reason == problem for verdict in told) else (Verdict("GPUs", False, problem),)
    titles = {verdict.backend for verdict in told}
    reports = ask([backend for backend in _ASKED if TITLES[backend] not in titles], PATIENT_SECONDS)
    return tuple(Verdict(TITLES[report.backend], False, _without_pack(report)) for report in reports)


def _without_pack(report: Report) -> str:
    if not report.devices:
        return report.problem or "its driver lists no device"
    names = " and ".join(f"{device.name} ({device.kind})" for device in report.devices)
    return f"this machine has {names}, for files that are built with --backend {report.backend}"
