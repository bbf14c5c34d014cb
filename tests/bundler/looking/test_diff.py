"""`loaf diff A B`: what differs is told, and nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.file.baked import Baked
from bundler.freeze import Software
from bundler.looking.diff import differences
from runtime.bundle import open_bundle
from support.bundles import loaf
from support.ggufs import LLAMA, TENSORS, write_gguf
from support.small_bundles import build_small, small_gguf, small_runtime


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle `a.loaf`, and what it was made of: `m.gguf`."""
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "build-cache"))
    build_small(tmp_path / "a.loaf", small_gguf(tmp_path / "m.gguf"), small_runtime(tmp_path / "r", "one"))
    return tmp_path


def found(folder: Path) -> dict[str, tuple[object, object]]:
    """What `a.loaf` and `b.loaf` differ in."""
    return {
        one.what: (one.a, one.b) for one in differences(open_bundle(folder / "a.loaf"), open_bundle(folder / "b.loaf"))
    }


def test_the_same_bundle(folder: Path) -> None:
    shutil.copy(folder / "a.loaf", folder / "b.loaf")
    same = loaf("diff", "a.loaf", "b.loaf", cwd=folder)
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "")
    assert loaf("diff", "a.loaf", "b.loaf", "--json", cwd=folder).stdout == "[]\n"


def test_other_defaults(folder: Path) -> None:
    baked = Baked("--temp 1 --api-key hidden", system="Be brief.\nAlways.", readme="x")
    build_small(folder / "b.loaf", folder / "m.gguf", small_runtime(folder / "r", "one"), name="other", baked=baked)
    other = loaf("diff", "a.loaf", "b.loaf", cwd=folder)
    assert other.returncode == 1
    assert "hidden" not in other.stdout
    lines = {line.split("  ")[0]: line for line in other.stdout.splitlines()}
    assert lines["system"].endswith("–  →  Be brief. Always.")
    assert lines["name"].endswith("m  →  other")
    listed = json.loads(loaf("diff", "a.loaf", "b.loaf", "--json", cwd=folder).stdout)
    assert {"what": "system", "a": None, "b": "Be brief.\nAlways."} in listed
    assert {"README.md", ".args", "launcher", "args", "name"} <= {one["what"] for one in listed}
    assert "models/m.gguf" not in {one["what"] for one in listed}


def test_another_name_is_all_that_differs(folder: Path) -> None:
    shutil.copy(folder / "a.loaf", folder / "b.loaf")
    loaf("set", "b.loaf", "--name", "other", check=True, cwd=folder)
    assert loaf("diff", "a.loaf", "b.loaf", cwd=folder).stdout.splitlines() == ["name  m  →  other"]
    assert set(found(folder)) == {"name", "launcher"}


def test_other_weights(folder: Path) -> None:
    write_gguf(folder / "m.gguf", {**LLAMA, "llama.context_length": 2048}, TENSORS)
    build_small(folder / "b.loaf", folder / "m.gguf", small_runtime(folder / "r", "one"))
    assert found(folder)["model m, context_length"] == (4096, 2048)
    assert "models/m.gguf" in found(folder)


def test_another_runtime(folder: Path) -> None:
    packages = (Software("aiohttp", "4", ""), Software("new", "1", ""))
    runtime = replace(small_runtime(folder / "r", "one"), packages=packages, python="3.12")
    build_small(folder / "b.loaf", folder / "m.gguf", runtime)
    platform = f"runtime {runtime.platform}"
    assert found(folder)[f"{platform}, python"] == ("3.10", "3.12")
    assert found(folder)[f"{platform}, aiohttp"] == ("3", "4")
    assert found(folder)[f"{platform}, new"] == (None, "1")


def test_what_is_no_bundle_is_told(folder: Path) -> None:
    result = loaf("diff", "a.loaf", "m.gguf", cwd=folder)
    assert (result.returncode, "not a loaf bundle" in result.stderr) == (1, True)
