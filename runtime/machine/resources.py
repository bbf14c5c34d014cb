"""What this process may use of the machine it is on: processors, memory, folders that programs run from.

That is less than the machine has wherever affinity or a control group (a container's limit) says so. Knows Linux's
files. Refuses to decide what to do with it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

_ROOT = Path("/")


class Processors(msgspec.Struct, frozen=True):
    """`present` in the machine, `allowed` by this process's affinity, `quota` of its control groups, None: no limit."""

    present: int
    allowed: int
    quota: float | None

    @property
    def usable(self) -> int:
        """How many this process may run on at once; a quota is rounded up."""
        return max(1, min(self.allowed, self.allowed if self.quota is None else math.ceil(self.quota)))

    @property
    def limited_by(self) -> Literal["machine", "affinity", "quota"]:
        """What makes it no more than `usable`."""
        if self.usable < self.allowed:
            return "quota"
        return "affinity" if self.allowed < self.present else "machine"


class Memory(msgspec.Struct, frozen=True):
    """Bytes: `total` of the machine, `limit` of the tightest control group, None where there is none.

    `available` can be taken without swapping: MemAvailable, or what the control groups leave if that is less.
    """

    total: int
    limit: int | None
    available: int


def processors(root: Path = _ROOT) -> Processors:
    """What this process may compute on."""
    return Processors(os.cpu_count() or 1, len(os.sched_getaffinity(0)), min(_cpu_quotas(root), default=None))


def memory(root: Path = _ROOT) -> Memory:
    """What this process may take."""
    total, available = _meminfo(root)
    groups = list(_memory_groups(root))
    return Memory(
        total,
        min((limit for limit, _left in groups if limit < total), default=None),
        max(0, min([available, *(left for _limit, left in groups)])),
    )


def numa_nodes(root: Path = _ROOT) -> int:
    """Groups of processors that have memory of their own."""
    return max(1, len(list((root / "sys/devices/system/node").glob("node[0-9]*"))))


def runs_programs(folder: Path) -> bool:
    """Whether the file system of `folder`, or of the one above that is there, is not mounted noexec."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return not os.statvfs(there).f_flag & os.ST_NOEXEC


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


def _memory_groups(root: Path) -> Iterator[tuple[int, int]]:
    """(limit, what is left of it) of each control group above us. Cached file pages are used, but can be taken back."""
    for controller, limit_name, used_name, cached_name in (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        for folder in _groups(root, controller):
            limit, used = _read(folder / limit_name), _read(folder / used_name)
            if limit.isdigit() and used.isdigit():
                statistics = dict(line.split() for line in _read(folder / "memory.stat").splitlines())
                yield int(limit), int(limit) - int(used) + int(statistics.get(cached_name, 0))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of our control group and its ancestors, for a version 1 controller, or version 2 ("")."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            base = root / "sys/fs/cgroup" / controller
            group = Path(path.lstrip("/"))
            yield from (base / folder for folder in (group, *group.parents))


def _meminfo(root: Path) -> tuple[int, int]:
    """(total, available) bytes."""
    said = dict(line.split(":", 1) for line in _read(root / "proc/meminfo").splitlines() if ":" in line)
    total = _kibibytes(said, "MemTotal") or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return total, _kibibytes(said, "MemAvailable") or total // 2


def _kibibytes(said: dict[str, str], key: str) -> int:
    """In bytes; 0 where it is not said."""
    return int(said[key].split()[0]) * 1024 if key in said else 0


def _read(path: Path) -> str:
    """The file's text; empty where there is none, or it may not be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
