"""Asks Vulkan's loader for its devices.

Layouts and numbers are vulkan_core.h's. The loader loads every driver that is installed, so this belongs into a process
that may crash.
"""

from __future__ import annotations

import ctypes
from typing import Any

from runtime.backends.devices import Device, Kind, Report
from runtime.backends.libraries import load_library

LOADER = "libvulkan.so.1"
_VULKAN_1_2 = 1 << 22 | 2 << 12
"""As VK_MAKE_API_VERSION packs it; ggml-vulkan.cpp refuses what is older."""

_KINDS: dict[int, Kind] = {1: "integrated", 2: "discrete", 3: "virtual", 4: "software"}
"""VkPhysicalDeviceType; 0, "other", is left out."""

_MOST_DEVICES = 64
_DEVICE_LOCAL = 1  # VK_MEMORY_HEAP_DEVICE_LOCAL_BIT
_INSTANCE_CREATE_INFO, _APPLICATION_INFO = 1, 0
_PROPERTIES_2, _DRIVER_PROPERTIES, _ID_PROPERTIES = 1000059001, 1000196000, 1000071004
_MEMORY_PROPERTIES_2, _MEMORY_BUDGET = 1000059006, 1000237000


class _ApplicationInfo(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("version", ctypes.c_uint32),
        ("engine", ctypes.c_char_p),
        ("engine_version", ctypes.c_uint32),
        ("api_version", ctypes.c_uint32),
    )


class _InstanceCreateInfo(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.POINTER(_ApplicationInfo)),
        ("n_layers", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("n_extensions", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )


class _DriverProperties(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("id", ctypes.c_int),
        ("name", ctypes.c_char * 256),
        ("info", ctypes.c_char * 256),
        ("conformance", ctypes.c_uint8 * 4),
    )


class _IdProperties(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("device", ctypes.c_uint8 * 16),
        ("driver", ctypes.c_uint8 * 16),
        ("luid", ctypes.c_uint8 * 8),
        ("node_mask", ctypes.c_uint32),
        ("luid_valid", ctypes.c_uint32),
    )


class _Properties2(ctypes.Structure):
    """VkPhysicalDeviceProperties is 824 bytes; what is behind the name (limits and the like) is not looked at."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("api_version", ctypes.c_uint32),
        ("driver_version", ctypes.c_uint32),
        ("vendor", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("kind", ctypes.c_int),
        ("name", ctypes.c_char * 256),
        ("rest", ctypes.c_uint64 * 128),
    )


class _Heap(ctypes.Structure):
    _fields_ = (("size", ctypes.c_uint64), ("flags", ctypes.c_uint32))


class _MemoryProperties2(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("n_types", ctypes.c_uint32),
        ("types", ctypes.c_uint32 * 64),
        ("n_heaps", ctypes.c_uint32),
        ("heaps", _Heap * 16),
    )


class _MemoryBudget(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("budget", ctypes.c_uint64 * 16),
        ("usage", ctypes.c_uint64 * 16),
    )


def ask() -> Report:
    """The devices that the loader lists, in its order, which is ggml's too."""
    try:
        lib = load_library(LOADER)
    except OSError:
        return Report("vulkan", problem=f"{LOADER} is not there: install your distribution's Vulkan loader")
    version = ctypes.c_uint32(0)
    lib.vkEnumerateInstanceVersion(ctypes.byref(version))
    if version.value < _VULKAN_1_2:
        return Report("vulkan", problem="the Vulkan loader is older than Vulkan 1.2")
    instance = ctypes.c_void_p()
    application = _ApplicationInfo(type=_APPLICATION_INFO, api_version=_VULKAN_1_2)
    info = _InstanceCreateInfo(type=_INSTANCE_CREATE_INFO, application=ctypes.pointer(application))
    code = lib.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance))
    if code:
        return Report("vulkan", problem=f"no Vulkan driver is installed that works (vkCreateInstance returned {code})")
    count = ctypes.c_uint32(_MOST_DEVICES)
    handles = (ctypes.c_void_p * _MOST_DEVICES)()
    code = lib.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), handles)
    if code < 0:
        return Report("vulkan", problem=f"the Vulkan driver lists no devices (error {code})")
    described = (_describe(lib, ctypes.c_void_p(handles[number]), number) for number in range(count.value))
    devices = tuple(device for device in described if device is not None)
    problem = "none of its devices knows Vulkan 1.2" if count.value and not devices else ""
    return Report("vulkan", devices, problem)


def _describe(lib: Any, handle: ctypes.c_void_p, number: int) -> Device | None:
    identity = _IdProperties(type=_ID_PROPERTIES)
    driver = _DriverProperties(type=_DRIVER_PROPERTIES, next=ctypes.addressof(identity))
    properties = _Properties2(type=_PROPERTIES_2, next=ctypes.addressof(driver))
    lib.vkGetPhysicalDeviceProperties2(handle, ctypes.byref(properties))
    if properties.kind not in _KINDS or properties.api_version < _VULKAN_1_2:
        return None
    total, free = _memory(lib, handle)
    return Device(
        backend="vulkan",
        number=number,
        name=properties.name.decode("utf-8", "replace"),
        kind=_KINDS[properties.kind],
        total=total,
        free=free,
        driver=f"{driver.name.decode('utf-8', 'replace')} {driver.info.decode('utf-8', 'replace')}".strip(),
        identity=bytes(identity.device).hex(),
    )


def _memory(lib: Any, handle: ctypes.c_void_p) -> tuple[int, int]:
    """(total, free) bytes of the device's own heaps. VK_EXT_memory_budget says what is free; without it, all is."""
    budget = _MemoryBudget(type=_MEMORY_BUDGET)
    memory = _MemoryProperties2(type=_MEMORY_PROPERTIES_2, next=ctypes.addressof(budget))
    lib.vkGetPhysicalDeviceMemoryProperties2(handle, ctypes.byref(memory))
    own = [i for i in range(min(memory.n_heaps, 16)) if memory.heaps[i].flags & _DEVICE_LOCAL]
    total = sum(memory.heaps[i].size for i in own)
    left = sum(max(0, budget.budget[i] - budget.usage[i]) for i in own)
    return total, min(left, total) if any(budget.budget[i] for i in own) else total
