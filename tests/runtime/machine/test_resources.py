"""What a process may use, as control groups of both versions state it in files laid out as Linux does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.machine.resources import memory, memory_of_its_own, numa_nodes, processors, runs_programs

MEMINFO = "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n"
V1_UNLIMITED = "9223372036854771712"


@pytest.fixture
def many_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


PROCESSORS = [
    ("no control groups", {}, 16),
    ("no limit", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 16),
    ("a container's limit", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
    ("a part of one is one", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
    ("one and a half are two", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
    (
        "the tightest of the groups above",
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
        },
        3,
    ),
    (
        "version 1",
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/box\n0::/\n",
            "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "400000\n",
            "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
        },
        4,
    ),
    (
        "version 1, no limit",
        {
            "proc/self/cgroup": "3:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        16,
    ),
    ("nonsense", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "lots 0\n"}, 16),
]


@pytest.mark.usefixtures("many_processors")
@pytest.mark.parametrize(("files", "expected"), [row[1:] for row in PROCESSORS], ids=[row[0] for row in PROCESSORS])
def test_processors(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert processors(lay_out(tmp_path, files)).usable == expected


MEMORY = [
    ("no control groups", {}, 8_000_000 * 1024),
    (
        "a container's limit, less what it uses",
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "1000000000\n",
            "sys/fs/cgroup/memory.current": "600000000\n",
            "sys/fs/cgroup/memory.stat": "anon 500000000\ninactive_file 100000000\n",
        },
        500_000_000,
    ),
    ("no limit", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 8_000_000 * 1024),
    (
        "version 1",
        {
            "proc/self/cgroup": "4:memory:/box\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": V1_UNLIMITED,
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "300000000\n",
            "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "100000000\n",
        },
        200_000_000,
    ),
    (
        "more in use than allowed",
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "100\n",
            "sys/fs/cgroup/memory.current": "200\n",
        },
        0,
    ),
]


@pytest.mark.parametrize(("files", "expected"), [row[1:] for row in MEMORY], ids=[row[0] for row in MEMORY])
def test_memory(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert memory(lay_out(tmp_path, {"proc/meminfo": MEMINFO} | files)).available == expected


def test_memory_of_its_own(tmp_path: Path) -> None:
    status = {"proc/self/status": "VmPeak:\t  9 kB\nVmData:\t 100 kB\n"}
    assert memory_of_its_own(lay_out(tmp_path, status)) == 102_400
    assert memory_of_its_own(tmp_path / "nowhere") == 0


def test_this_machine() -> None:
    assert 1 <= processors().usable <= (os.cpu_count() or 1)
    assert 0 < memory().available <= memory().total
    assert numa_nodes() >= 1
    assert runs_programs(Path("/not/there"))
