"""From the packs in a file to a library that can be loaded: detect, choose, unpack."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from runtime.backends.choosing import choose
from runtime.backends.detection import PATIENT_SECONDS, SECONDS, detect
from runtime.backends.devices import Device, Report
from runtime.backends.libraries import load_library
from runtime.backends.system_cxx import prefer_newer_libstdcxx
from runtime.backends.unpacking import PackUnusable, cache_folder, unpacked_library
from runtime.bundle import Backend, Bundle, Pack
from runtime.engine.placement import Verdict
from runtime.machine.c_library import load_own_parts
from runtime.settings import GpuSettings

_VISIBLE = "GGML_VK_VISIBLE_DEVICES"
"""What ggml-vulkan.cpp reads: numbers of devices as the loader lists them."""


class Prepared(msgspec.Struct, frozen=True):
    """The library of the backend that computes, and its devices: `numbers` as ggml counts them there.

    `library` None: the processor computes, for the reason in `sentence`, if there is one to be said. `verdicts` are
    those of `choose`.
    """

    library: Path | None = None
    devices: tuple[Device, ...] = ()
    numbers: tuple[int, ...] = ()
    sentence: str = ""
    verdicts: tuple[Verdict, ...] = ()


def prepare(bundle: Bundle | None, wanted: GpuSettings, failed: dict[Backend, str]) -> Prepared:
    """What computes on this machine, other than the backends in `failed`, each with a clause that says why not.

    Call it before llama.cpp is loaded. Raises `GpuUnavailable` where a flag names what is not there.
    """
    packs = {pack.backend: pack for pack in packs_for_here(bundle)}
    asks_nobody = wanted.backend == "disable" or wanted.devices == ("none",) or wanted.n_layers == 0
    visible = _visible_numbers()
    somebody_waits = wanted.backend != "auto" or bool(wanted.devices) or visible is not None
    seconds = PATIENT_SECONDS if somebody_waits else SECONDS
    reports = () if asks_nobody else detect(tuple(packs), cache_folder(), seconds)
    usable = [
        Report(report.backend, problem=failed[report.backend]) if report.backend in failed else report
        for report in reports
    ]
    choice = choose(wanted, visible, usable)
    if not choice.devices:
        return Prepared(sentence=choice.sentence, verdicts=choice.verdicts)
    assert bundle is not None, "devices are only asked for where the file has a pack"
    pack = packs[choice.devices[0].backend]
    try:
        library = unpacked_library(bundle, pack, cache_folder())
    except PackUnusable as error:
        return prepare(bundle, wanted, failed | {pack.backend: error.message})
    _load_what_it_needs(pack)
    return Prepared(library, choice.devices, _numbers_for_ggml(choice.devices), "", choice.verdicts)


def _load_what_it_needs(pack: Pack) -> None:
    """What is loaded is not looked for: the loader does not know all places that we do."""
    load_own_parts()
    prefer_newer_libstdcxx()
    for name in pack.needs:
        with contextlib.suppress(OSError):
            load_library(name)


def _numbers_for_ggml(devices: tuple[Device, ...]) -> tuple[int, ...]:
    """As its registry counts them: Vulkan's are those that it is told to see, from 0 on."""
    numbers = tuple(device.number for device in devices)
    if devices[0].backend != "vulkan":
        return numbers
    os.environ[_VISIBLE] = ",".join(map(str, numbers))
    return tuple(range(len(numbers)))


def packs_for_here(bundle: Bundle | None) -> tuple[Pack, ...]:
    """The packs in the file that are for this platform."""
    if bundle is None:
        return ()
    uname = os.uname()
    here = f"{uname.sysname.lower()}-{uname.machine}"
    return tuple(pack for pack in bundle.manifest.packs if pack.platform == here)


def _visible_numbers() -> tuple[int, ...] | None:
    """Those of Vulkan's devices that the user has named; None where the variable is not set."""
    named = os.environ.get(_VISIBLE)
    if named is None:
        return None
    return tuple(int(number) for number in named.replace(",", " ").split() if number.isdecimal())
