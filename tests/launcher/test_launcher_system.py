"""A system that the program cannot run on is told in one line; habits in the environment do no harm."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.bundles import clean_environment

TOOLS = ("chmod", "dd", "getconf", "gzip", "head", "ls", "mkdir", "mv", "rm", "sh", "sha256sum", "tar", "uname")

LOADER = b"/lib64/ld-linux-x86-64.so.2"

SYSTEMS = {
    "an old C library": (
        "getconf",
        "glibc 2.17",
        r"needs the C library glibc 2\.\d+ or newer, and this system has 2\.17",
    ),
    "a very old one": (
        "getconf",
        "glibc 1.99.3",
        r"needs the C library glibc 2\.\d+ or newer, and this system has 1\.99\.3",
    ),
    "macOS": ("uname", "Darwin arm64", r"no program for Darwin arm64 in this file, only for: Linux \w+"),
    "another processor": ("uname", "Linux riscv64", r"no program for Linux riscv64 in this file, only for: Linux \w+"),
}

HABITS = {"BLOCK_SIZE": "1M", "LS_BLOCK_SIZE": "human-readable", "TIME_STYLE": "long-iso", "QUOTING_STYLE": "c",
          "TAR_OPTIONS": "--exclude=loaf-runtime", "GZIP": "-v", "LC_ALL": "de_DE.UTF-8", "CDPATH": "/", "IFS": "0",
          "ENV": "/nonexistent", "POSIXLY_CORRECT": "1"}  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_unsuitable_system_is_told_what_it_lacks(demo: Path, tmp_path: Path, system: str) -> None:
    tool, prints, message = SYSTEMS[system]
    stand_in(tmp_path / tool, f"echo '{prints}'")
    refused = launch(demo, tmp_path / "cache", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert_refused(refused, message)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("version", ["glibc 2.100", "glibc 3.0", "glibc 2.99.9000", "glibc 10.1"])
def test_a_newer_c_library_will_do(demo: Path, warm_cache: Path, tmp_path: Path, version: str) -> None:
    stand_in(tmp_path / "getconf", f"echo '{version}'")
    started = launch(demo, warm_cache, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (started.returncode, started.stderr) == (0, "")


def test_a_glibc_without_getconf_will_do(demo: Path, warm_cache: Path, tmp_path: Path) -> None:
    started = launch(demo, warm_cache, PATH=tools_without(tmp_path, "getconf"))
    assert (started.returncode, started.stderr) == (0, "")


def test_a_system_without_glibc_is_told_so(demo: Path, tmp_path: Path) -> None:
    """A root folder with a busybox whose loader lies elsewhere, as on Alpine."""
    root = musl_like_root(tmp_path / "root")
    shutil.copy(demo, root / "demo.loaf")
    refused = subprocess.run(
        ["unshare", "-r", "-R", root, "/bin/sh", "/demo.loaf", "--version"],
        env={"PATH": "/bin", "HOME": "/"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert_refused(refused, r"needs the C library glibc 2\.\d+ or newer, and this system has none \(musl, .*\)")
    assert not (root / ".cache").exists()


@pytest.mark.parametrize("tool", ["tar", "gzip", "head", "dd"])
def test_a_missing_tool_is_named(demo: Path, tmp_path: Path, tool: str) -> None:
    refused = launch(demo, tmp_path / "cache", PATH=tools_without(tmp_path, tool))
    assert_refused(refused, f"needs the command {tool} to unpack the program, and this system has none: install it")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_empty_path_is_no_incomplete_file(demo: Path, tmp_path: Path) -> None:
    refused = launch(demo, tmp_path / "cache", PATH=str(tmp_path))
    assert_refused(refused, "cannot look at .*/demo.loaf with ls .*")


def test_habits_in_the_environment_do_no_harm(demo: Path, tmp_path: Path) -> None:
    for _ in ("first", "warm"):
        started = launch(demo, tmp_path / "cache", **HABITS)
        assert (started.returncode, started.stderr) == (0, "")


def launch(demo: Path, cache: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [demo, "--version"],
        env=clean_environment(cache, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def assert_refused(refused: subprocess.CompletedProcess[str], message: str) -> None:
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.fullmatch(rf"demo\.loaf: {message}\.\n", refused.stderr), refused.stderr


def stand_in(tool: Path, script: str) -> None:
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


def tools_without(folder: Path, missing: str) -> str:
    """A folder for PATH with what the launcher needs, but one."""
    path = folder / "tools"
    path.mkdir()
    for tool in TOOLS:
        if tool != missing:
            found = shutil.which(tool)
            assert found
            (path / tool).symlink_to(found)
    return str(path)


def musl_like_root(root: Path) -> Path:
    """A root folder that holds busybox, its libraries and nothing else; glibc's loader has another name."""
    busybox = shutil.which("busybox")
    if busybox is None or platform.machine() != "x86_64":
        pytest.skip("needs busybox, on x86-64: apt-get install busybox")
    if subprocess.run(["unshare", "-r", "true"], capture_output=True).returncode:
        pytest.skip("a root folder needs root or user namespaces: sysctl -w kernel.unprivileged_userns_clone=1")
    (root / "bin").mkdir(parents=True)
    loader = LOADER.replace(b"lib64", b"other")
    (root / "bin/busybox").write_bytes(Path(busybox).read_bytes().replace(LOADER, loader))
    (root / "bin/busybox").chmod(0o755)
    for folder in ("other", "dev"):
        (root / folder).mkdir()
    (root / "dev/null").touch()
    shutil.copy(LOADER.decode(), root / loader.decode().lstrip("/"))
    needed = subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"=> (/\S+)", needed):
        (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library.lstrip("/"))
    for applet in ("sh", "ls", "uname", "getconf", "id", "mkdir"):
        (root / "bin" / applet).symlink_to("busybox")
    return root
