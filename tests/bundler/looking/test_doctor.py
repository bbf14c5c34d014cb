"""`loaf doctor`, as its users run it: on this machine, and where something is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bundler.looking import doctor
from bundler.packs.recipes import RECIPES
from support.bundles import loaf


def test_this_machine() -> None:
    told = loaf("doctor")
    assert (told.returncode, told.stderr) == (0, "")
    for says in ("This is loaf ", " of 14 variants.", "Vulkan: ", "Programs are unpacked into ", "The compiler is c"):
        assert says in told.stdout
    assert told.stdout.startswith("Ready to build for the processor")
    for recipe in RECIPES:
        assert (f"The {recipe.backend} pack " in told.stdout) == (recipe.backend != "metal"), "nobody else's systems"


MISSING = [
    ("a compiler", {"CXX": "nothing"}, "No C++ compiler: `nothing` is not on PATH: install one (Debian"),
    ("a folder to build in", {"LOAF_BUILD_CACHE": "/dev/null/x"},
     "The build cache /dev/null/x cannot be written: name another in LOAF_BUILD_CACHE."),
]  # fmt: skip


@pytest.mark.parametrize(("environment", "says"), [row[1:] for row in MISSING], ids=[row[0] for row in MISSING])
def test_what_is_missing_is_told_with_what_to_do(environment: dict[str, str], says: str) -> None:
    told = loaf("doctor", env=os.environ | environment)
    assert (told.returncode, told.stderr) == (1, "")
    assert told.stdout.startswith(f"Not ready to build. {says}")


def test_what_has_not_been_compiled(tmp_path: Path) -> None:
    """And what packs take: without them bundles can be built, so nothing is missing."""
    environment = os.environ | {"LOAF_BUILD_CACHE": str(tmp_path / "new"), "ROCM_PATH": str(tmp_path)}
    told = loaf("doctor", env=environment)
    assert told.returncode == 0
    assert "will be compiled once: pip fetches it" in told.stdout
    assert not (tmp_path / "new").exists(), "asking changes nothing"


def test_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    (said,) = [found.sentence for found in doctor.findings() if found.sentence.startswith("The build cache")]
    assert "has 100.0 MB free, and compiling takes up to 1.5 GB: make room" in said


def test_a_python_without_venv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    first = next(doctor.findings())
    assert first.is_fatal
    assert "apt install python3-venv" in first.sentence
