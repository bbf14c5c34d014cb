"""A file for several platforms: each machine takes its own program, and unpacks nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.bundles import clean_environment
from support.small_bundles import HERE, build_small, said_by, small_gguf, small_runtime

OTHERS = [name for name in ("linux-x86_64", "linux-aarch64") if name != HERE]


@pytest.fixture(scope="module")
def fat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With programs that say for which platform they are; those for others bring a C library."""
    folder = tmp_path_factory.mktemp("fat")
    runtimes = [small_runtime(folder / name, name, platform=name) for name in (HERE, *OTHERS)]
    return build_small(folder / "fat.loaf", small_gguf(folder / "m.gguf"), *runtimes)


def launched(bundle: Path, cache: Path, machine: str, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    """As on a `machine` of that name: `uname` says so."""
    tools = cache.parent / "tools"
    tools.mkdir(exist_ok=True)
    uname = tools / "uname"
    uname.write_text(f'#!/bin/sh\n[ "$1" = -sm ] && echo "Linux {machine}" || echo host\n')
    uname.chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    return subprocess.run(
        [*shell.split(), str(bundle)],
        env=clean_environment(cache, PATH=path),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_this_machine_takes_its_own(fat: Path, tmp_path: Path) -> None:
    assert said_by(fat, tmp_path / "cache") == HERE
    assert len(list((tmp_path / "cache").glob("core-*"))) == 1


@pytest.mark.parametrize("shell", ["dash", "busybox sh", "bash"])
@pytest.mark.parametrize("platform", OTHERS)
def test_another_takes_its_own(fat: Path, tmp_path: Path, platform: str, shell: str) -> None:
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"needs {shell}")
    cache = tmp_path / "cache"
    for _ in ("first", "warm"):
        result = launched(fat, cache, platform.removeprefix("linux-"), shell)
        assert (result.returncode, result.stdout, result.stderr) == (0, f"{platform}\n", "")
    (core,) = cache.glob("core-*")
    assert (core / "glibc").is_dir()


def test_both_can_share_a_cache(fat: Path, tmp_path: Path) -> None:
    """As where a home lies on a server."""
    cache = tmp_path / "cache"
    assert said_by(fat, cache) == HERE
    for platform in OTHERS:
        assert launched(fat, cache, platform.removeprefix("linux-")).stdout == f"{platform}\n"
    assert said_by(fat, cache) == HERE
    assert len(list(cache.glob("core-*"))) == 1 + len(OTHERS)


@pytest.mark.parametrize("machine", ["armv7l", "armv8l", "riscv64", "i686", "ppc64le", "loongarch64"])
def test_others_are_told_what_they_are_and_what_there_is(fat: Path, tmp_path: Path, machine: str) -> None:
    result = launched(fat, tmp_path / "cache", machine)
    there = ", ".join(f"Linux {name.removeprefix('linux-')}" for name in (HERE, *OTHERS))
    assert result.returncode == 1
    assert result.stderr == f"fat.loaf: no program for Linux {machine} in this file, only for: {there}.\n"
    assert not (tmp_path / "cache").exists()
