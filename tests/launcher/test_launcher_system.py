"""A system that the program cannot run on is told in one line; habits in the environment do no harm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.bundles import clean_environment

TOOLS = ("chmod", "dd", "gzip", "head", "ls", "mkdir", "mv", "rm", "sh", "sha256sum", "tar", "uname")

SYSTEMS = {
    "macOS": "Darwin arm64",
    "another processor": "Linux riscv64",
    "32-bit ARM": "Linux armv7l",
}

HABITS = {"BLOCK_SIZE": "1M", "LS_BLOCK_SIZE": "human-readable", "TIME_STYLE": "long-iso", "QUOTING_STYLE": "c",
          "TAR_OPTIONS": "--exclude=loaf-runtime", "GZIP": "-v", "LC_ALL": "de_DE.UTF-8", "CDPATH": "/", "IFS": "0",
          "ENV": "/nonexistent", "POSIXLY_CORRECT": "1"}  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_unsuitable_system_is_told_what_it_lacks(demo: Path, tmp_path: Path, system: str) -> None:
    stand_in(tmp_path / "uname", f"echo '{SYSTEMS[system]}'")
    refused = launch(demo, tmp_path / "cache", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert_refused(refused, rf"no program for {SYSTEMS[system]} in this file, only for: Linux \w+")
    assert not (tmp_path / "cache").exists()


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
