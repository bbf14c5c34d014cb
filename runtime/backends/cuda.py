"""Asks NVIDIA's driver for its devices, through libcuda (the driver API, cuda.h), not the toolkit's libraries."""

from __future__ import annotations

import ctypes

from runtime.backends.devices import Device, Report
from runtime.backends.libraries import load_library

DRIVER = "libcuda.so.1"
_INTEGRATED = 18  # CU_DEVICE_ATTRIBUTE_INTEGRATED


def ask() -> Report:
    """The devices that libcuda lists, in its order, which is ggml's too; CUDA_VISIBLE_DEVICES counts for both."""
    try:
        lib = load_library(DRIVER)
    except OSError:
        return Report("cuda", problem=f"{DRIVER} is not there: NVIDIA's driver is not installed")
    if code := lib.cuInit(0):
        return Report("cuda", problem=f"NVIDIA's driver finds no device that works (cuInit returned {code})")
    version, count = ctypes.c_int(), ctypes.c_int()
    lib.cuDriverGetVersion(ctypes.byref(version))
    lib.cuDeviceGetCount(ctypes.byref(count))
    driver = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    return Report("cuda", tuple(_describe(lib, number, driver) for number in range(count.value)))


def _describe(lib: ctypes.CDLL, number: int, driver: str) -> Device:
    name, total, integrated = ctypes.create_string_buffer(256), ctypes.c_size_t(), ctypes.c_int()
    lib.cuDeviceGetName(name, len(name), number)
    lib.cuDeviceTotalMem_v2(ctypes.byref(total), number)
    lib.cuDeviceGetAttribute(ctypes.byref(integrated), _INTEGRATED, number)
    return Device(
        backend="cuda",
        number=number,
        name=name.value.decode("utf-8", "replace"),
        kind="integrated" if integrated.value else "discrete",
        total=total.value,
        free=_free(lib, number) or total.value,
        driver=driver,
    )


def _free(lib: ctypes.CDLL, number: int) -> int:
    """Bytes; 0 where the driver does not say. Asking takes a context on the device."""
    context, free, total = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    if lib.cuDevicePrimaryCtxRetain(ctypes.byref(context), number) or lib.cuCtxSetCurrent(context):
        return 0
    lib.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    lib.cuDevicePrimaryCtxRelease_v2(number)
    return free.value
