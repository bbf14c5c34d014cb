"""What this process may use of the machine it is on: processors and memory.

That is less than the machine has wherever affinity or a control group (a container's limit) says so. Knows Linux's
files. Refuses to decide what to do with it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def usable_processors(root: Path = _ROOT) -> int:
    """Processors that this process may run on at once: its affinity, and its control groups' quotas, rounded up."""
    quotas = [math.ceil(quota) for quota in _cpu_quotas(root)]
    return max(1, min([len(os.sched_getaffinity(0)), *quotas]))


def available_memory(root: Path = _ROOT) -> int:
    """Bytes that can be taken without swapping: MemAvailable, or what the control groups leave if that is less."""
    return max(0, min([_mem_available(root), *_memory_left(root)]))


def memory_of_its_own(root: Path = _ROOT) -> int:
    """Bytes of this process that count for RLIMIT_DATA: its heap, and mappings that only it may write."""
    for line in _read(root / "proc/self/status").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _cpu_quotas(root: Path) -> Iterator[float]:
    """Processors that each control group above us allows: `cpu.max` of version 2, `cpu.cfs_*_us` of version 1."""
    for folder in _groups(root, ""):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)
    for folder in _groups(root, "cpu"):
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):  # "-1" is no limit
            yield int(quota) / int(period)


def _memory_left(root: Path) -> Iterator[int]:
    """Bytes that each control group above us leaves. Cached file pages count as used, but can be taken back."""
    for controller, limit_name, used_name, cached_name in (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        for folder in _groups(root, controller):
            limit, used = _read(folder / limit_name), _read(folder / used_name)
            if limit.isdigit() and used.isdigit():
                statistics = dict(line.split() for line in _read(folder / "memory.stat").splitlines())
                yield int(limit) - int(used) + int(statistics.get(cached_name, 0))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of our control group and its ancestors, for a version 1 controller, or version 2 ("")."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            base = root / "sys/fs/cgroup" / controller
            group = Path(path.lstrip("/"))
            yield from (base / folder for folder in (group, *group.parents))


def _mem_available(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _read(path: Path) -> str:
    """The file's text; empty where there is none, or it may not be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
