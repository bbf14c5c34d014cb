"""From the packs in a file to a library that can be loaded: detect, choose, unpack."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from runtime.backends.choosing import Choice, choose
from runtime.backends.detection import detect
from runtime.backends.devices import Device
from runtime.backends.system_cxx import prefer_newer_libstdcxx
from runtime.backends.unpacking import PackUnusable, cache_folder, unpacked_library
from runtime.bundle import Bundle, Pack
from runtime.settings import GpuSettings

_VISIBLE = "GGML_VK_VISIBLE_DEVICES"
"""What ggml-vulkan.cpp reads: numbers of devices as the loader lists them."""


class Prepared(msgspec.Struct, frozen=True):
    """The library of the backend that computes, and its devices: `numbers` as ggml counts them there.

    `library` None: the processor computes, for the reason in `sentence`, if there is one to be said.
    """

    library: Path | None = None
    devices: tuple[Device, ...] = ()
    numbers: tuple[int, ...] = ()
    sentence: str = ""


def prepare(bundle: Bundle | None, wanted: GpuSettings) -> Prepared:
    """What computes on this machine. Call it before llama.cpp is loaded.

    Raises `GpuUnavailable` where a flag names what is not there. What fails otherwise leaves the processor, and a
    sentence that says so.
    """
    packs = {pack.backend: pack for pack in packs_for_here(bundle)}
    if not packs and wanted.backend in ("auto", "disable") and not wanted.devices:
        return Prepared()
    asks_nobody = wanted.backend == "disable" or wanted.devices == ("none",) or wanted.n_layers == 0
    reports = () if asks_nobody else detect(tuple(packs), cache_folder())
    choice = choose(wanted, _visible_numbers(), reports)
    if not choice.devices:
        return Prepared(sentence=choice.sentence)
    assert bundle is not None, "devices are only asked for where the file has a pack"
    return _unpacked(bundle, packs[choice.devices[0].backend], choice)


def packs_for_here(bundle: Bundle | None) -> tuple[Pack, ...]:
    """The packs in the file that are for this platform."""
    if bundle is None:
        return ()
    uname = os.uname()
    here = f"{uname.sysname.lower()}-{uname.machine}"
    return tuple(pack for pack in bundle.manifest.packs if pack.platform == here)


def _unpacked(bundle: Bundle, pack: Pack, choice: Choice) -> Prepared:
    try:
        library = unpacked_library(bundle, pack, cache_folder())
    except PackUnusable as error:
        return Prepared(sentence=f"Computing on the processor: {error.message}")
    prefer_newer_libstdcxx()
    numbers = tuple(device.number for device in choice.devices)
    if pack.backend == "vulkan":  # ggml then lists these, numbered anew
        os.environ[_VISIBLE] = ",".join(map(str, numbers))
        numbers = tuple(range(len(numbers)))
    return Prepared(library, choice.devices, numbers)


def _visible_numbers() -> tuple[int, ...] | None:
    """Those of Vulkan's devices that the user has named; None where the variable is not set."""
    named = os.environ.get(_VISIBLE)
    if named is None:
        return None
    return tuple(int(number) for number in named.replace(",", " ").split() if number.isdecimal())
