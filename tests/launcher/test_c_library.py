"""Which C library the launcher takes, and what it prepares for the one that comes along: where caches are moved, shared
and prepared for others.

Systems are roots with a busybox, and a stand-in for their loader; where what is decided matters, also for the program.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from support.bundles import loaf
from support.roots import ENVIRONMENT, Root, empty_root, needs_root, shown

LOADER = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}[platform.machine()]
CORES = "root/.cache/loaf"
HOME = "/root/.cache/loaf"

VERSIONS = {
    "as it is needed": ("ld.so (GNU libc) stable release version {needed}.", "system"),
    "Debian's, newer": ("ld.so (Debian GLIBC 2.41-12) stable release version 2.41.\nCopyright (C) 2025", "system"),
    "in development": ("ld.so (GNU libc) development release version 2.99.9000.", "system"),
    "another major version": ("ld.so (GNU libc) stable release version 3.0.", "system"),
    "of three digits": ("ld.so (GNU libc) stable release version 2.100.", "system"),
    "older": ("ld.so (GNU libc) stable release version 2.33.", "own"),
    "very old": ("ld.so (GNU libc) stable release version 1.99.3.", "own"),
    "silent, as before 2.33": ("", "own"),
    "musl's": ("musl libc (x86_64)\nVersion 1.2.5\nDynamic Program Loader", "own"),
    "in other words": ("release version unknown", "own"),
}
"""What the system's loader says of its version, and whose C library is taken then."""


@pytest.fixture(scope="module")
def stage(empty: Root, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root where programs are stand-ins, which say which of them they are."""
    root = empty_root(tmp_path_factory.mktemp("stage") / "stage", empty.path / "demo.loaf")
    core = root.path / CORES / core_of(empty).name
    (core / "glibc").mkdir(parents=True)
    (core / ".whole").touch()
    for name, says in (("loaf-runtime", "system"), ("loaf-runtime.host.1", "own")):
        (core / name).write_text(f"#!/bin/sh\necho {says}\n")
        (core / name).chmod(0o755)
    (core / ".place.host.1").write_text(f"{HOME}/{core.name}\n")
    (root.path / LOADER).parent.mkdir(exist_ok=True)
    return root


@pytest.mark.parametrize("version", VERSIONS)
def test_the_system_s_is_taken_where_it_is_new_enough(stage: Root, version: str) -> None:
    says, taken = VERSIONS[version]
    write_loader(stage, says.format(needed=needed_version(stage.path / "demo.loaf")))
    assert said(stage) == taken


def test_without_a_loader_there_is_no_c_library(stage: Root) -> None:
    (stage.path / LOADER).unlink(missing_ok=True)
    assert said(stage) == "own"
    (stage.path / LOADER).write_text("not to be run")
    assert said(stage) == "own"


def test_a_program_that_brings_none_says_what_it_needs(stage: Root) -> None:
    """As bundles were before."""
    (stage.path / LOADER).unlink(missing_ok=True)
    core = core_of(stage)
    (core / "glibc").rename(core / "hidden")
    refused = stage.run("/demo.loaf")
    (core / "hidden").rename(core / "glibc")
    message = r"demo\.loaf: needs the C library glibc 2\.\d+ or newer, which this system does not have, and .*\.\n"
    assert re.fullmatch(message, refused.stderr)
    assert refused.returncode == 1


def test_the_file_says_what_it_runs_on(demo: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    said = rf"linux-\w+, glibc {needed_version(demo)} or newer, else its own"
    assert re.search(said, run(demo, "--info").stdout)
    assert re.search(said, loaf("inspect", str(demo)).stdout)


@pytest.fixture
def mine(empty: Root, tmp_path: Path) -> Root:
    """A root with an unpacked program of its own, to be changed."""
    return Root(Path(shutil.copytree(empty.path, tmp_path / "mine", symlinks=True)))


def test_a_cache_that_was_moved_is_prepared_for_its_new_place(mine: Root) -> None:
    """And what is prepared for a place stays: the cache may be mounted at both."""
    assert launches(mine) == 1
    (mine.path / CORES).rename(mine.path / "moved")
    for _ in ("first", "again"):
        assert launches(mine, cache="/moved") == 2
    (mine.path / "moved").rename(mine.path / CORES)
    assert launches(mine) == 2


def test_a_cache_that_hosts_of_both_kinds_share(mine: Root) -> None:
    """Prepared where the C library is new enough, used where there is none; and the other way round."""
    shutil.rmtree(mine.path / CORES)
    mounts = shown(("/usr", "/lib", "/lib64", "/bin", "/etc"))
    for _ in ("there first", "then here", "and there again"):
        explained = mine.run("/demo.loaf", "--explain", before=mounts)
        assert "of its own" not in explained.stdout
        assert "loaf" in explained.stdout, explained.stderr
        explained = mine.run("/demo.loaf", "--explain")
        assert "of its own" in explained.stdout, explained.stderr
    assert len(copies(mine, CORES)) == 1


def test_a_cache_that_root_prepared_for_all(mine: Root) -> None:
    needs_root()
    for folder in (mine.path / "root", mine.path / "root/.cache", mine.path / CORES):
        folder.chmod(0o755)
    stranger = replace(mine, user=4711)
    launched = stranger.run("/demo.loaf", "--version", LOAF_CACHE_DIR=HOME, HOME="/nowhere")
    assert (launched.returncode, launched.stderr) == (0, "")
    (mine.path / CORES).rename(mine.path / "moved")
    refused = stranger.run("/demo.loaf", "--version", LOAF_CACHE_DIR="/moved", HOME="/nowhere")
    assert re.fullmatch(
        r"demo\.loaf: cannot prepare the program in /moved/core-\w+ for this system's C library "
        r"\(Permission denied\)\. Set LOAF_CACHE_DIR to a folder of your own\.\n",
        refused.stderr,
    )


@pytest.mark.parametrize("folder", ["long/" + "/".join(["x" * 200] * 4), "with a space", "Brötchen 面包"])
def test_a_cache_below_any_path(mine: Root, folder: str) -> None:
    answered = mine.run("/demo.loaf", "-p", "x", "--raw", "-n", "1", LOAF_CACHE_DIR=f"/{folder}")
    assert (answered.returncode, answered.stderr) == (0, "")


@pytest.mark.parametrize("folder", ["a:b", "a\nb", "$ORIGIN"])
def test_a_path_that_no_loader_can_read_is_refused(mine: Root, folder: str) -> None:
    refused = mine.run("/demo.loaf", "--version", LOAF_CACHE_DIR=f"/{folder}")
    assert refused.returncode == 1
    assert (
        "its path has a colon, a dollar or a line break in it. Set LOAF_CACHE_DIR to another folder.\n"
        in refused.stderr
    )


def test_what_was_left_half_prepared_is_no_program(mine: Root) -> None:
    """Killed before it was renamed, and before the marker was written."""
    core = core_of(mine)
    (prepared,) = copies(mine, CORES)
    (core / f".place{prepared.name.removeprefix('loaf-runtime')}").unlink()
    (core / ".loaf-runtime.host.7").write_text("half")
    assert launches(mine) == 2


def test_containers_of_one_name_and_number(mine: Root) -> None:
    """In each it is process 1, and the cache is mounted elsewhere: what one prepares, another does not write over."""
    shutil.rmtree(mine.path / CORES)
    alone = ["unshare", "-pf" if os.geteuid() == 0 else "-rpf", *replace(mine, mounts=("dev",)).command("/demo.loaf")]
    for at, then in ((CORES, "moved"), ("moved", CORES), (CORES, "moved")):
        environment = ENVIRONMENT | {"LOAF_CACHE_DIR": f"/{at}"}
        launched = subprocess.run([*alone, "--version"], env=environment, capture_output=True, text=True, timeout=60)
        assert (launched.returncode, launched.stderr) == (0, "")
        (mine.path / at).rename(mine.path / then)
    assert len(copies(mine, "moved")) == 2


def test_many_prepare_at_once(mine: Root) -> None:
    (mine.path / CORES).rename(mine.path / "moved")
    launch = "LOAF_CACHE_DIR=/moved /demo.loaf --version || echo failed"
    all_at_once = mine.run("sh", "-c", " & ".join([f"({launch})"] * 8) + " & wait")
    assert all_at_once.stdout.count("loaf ") == 8, all_at_once
    assert "failed" not in all_at_once.stdout


def needed_version(bundle: Path) -> str:
    head = bundle.open("rb").read(65536).decode(errors="replace")
    found = re.search(r"\bglibc=(\d+\.\d+)", head)
    assert found
    return found[1]


def write_loader(root: Root, says: str) -> None:
    loader = root.path / LOADER
    loader.unlink(missing_ok=True)
    loader.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && printf '%s\\n' '{says}'\n")
    loader.chmod(0o755)


def said(root: Root) -> str:
    launched = root.run("/demo.loaf")
    assert (launched.returncode, launched.stderr) == (0, "")
    return launched.stdout.strip()


def core_of(root: Root) -> Path:
    (core,) = (root.path / CORES).iterdir()
    return core


def copies(root: Root, cache: str) -> list[Path]:
    """The copies of the program that are prepared for a place."""
    return list((root.path / cache).glob("core-*/loaf-runtime.*"))


def launches(root: Root, cache: str = HOME) -> int:
    """Launch it; how many copies of the program there are then."""
    launched = root.run("/demo.loaf", "-p", "x", "--raw", "-n", "1", LOAF_CACHE_DIR=cache)
    assert (launched.returncode, launched.stderr) == (0, "")
    return len(copies(root, cache.lstrip("/")))
