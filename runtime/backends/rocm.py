"""Asks AMD's HIP runtime for its devices (hip_runtime_api.h)."""

from __future__ import annotations

import ctypes

from runtime.backends.devices import Device, Report
from runtime.backends.libraries import load_library

RUNTIMES = ("libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so")


def ask() -> Report:
    """The devices that HIP lists, in its order, which is ggml's too; HIP_VISIBLE_DEVICES counts for both."""
    lib = next((found for name in RUNTIMES if (found := _load(name)) is not None), None)
    if lib is None:
        return Report("rocm", problem="libamdhip64.so is not there: ROCm is not installed")
    count, version = ctypes.c_int(), ctypes.c_int()
    if code := lib.hipGetDeviceCount(ctypes.byref(count)):
        return Report("rocm", problem=f"ROCm finds no device that works (hipGetDeviceCount returned {code})")
    lib.hipDriverGetVersion(ctypes.byref(version))
    return Report("rocm", tuple(_describe(lib, number, f"HIP {version.value}") for number in range(count.value)))


def _load(name: str) -> ctypes.CDLL | None:
    try:
        return load_library(name)
    except OSError:
        return None


def _describe(lib: ctypes.CDLL, number: int, driver: str) -> Device:
    name, free, total = ctypes.create_string_buffer(256), ctypes.c_size_t(), ctypes.c_size_t()
    lib.hipDeviceGetName(name, len(name), number)
    lib.hipSetDevice(number)
    lib.hipMemGetInfo(ctypes.byref(free), ctypes.byref(total))
    return Device("rocm", number, name.value.decode("utf-8", "replace"), "discrete", total.value, free.value, driver)
