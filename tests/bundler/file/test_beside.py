"""Bundles whose weights lie beside them: built, split, launched, changed, and made whole again."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bundler.changing.defaults import set_defaults
from bundler.errors import FileTaken, TargetIsSource
from bundler.file.baked import Baked
from bundler.file.beside import split
from runtime.bundle import BundleDamaged, WeightsNotBeside, check_beside, check_entries, open_bundle
from support.bundles import loaf
from support.small_bundles import build_small, opened_whole, small_gguf, small_runtime

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def thin(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo bundle, split. Read-only for tests."""
    folder = tmp_path_factory.mktemp("thin")
    made = loaf("split", str(demo), "-o", str(folder / "demo-thin.loaf"), check=True).stdout
    assert made.split() == [str(folder / "demo-thin.loaf"), str(folder / "demo.gguf")]
    return folder / "demo-thin.loaf"


@pytest.fixture
def copied(thin: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    for name in ("demo-thin.loaf", "demo.gguf"):
        shutil.copy(thin.with_name(name), tmp_path / name)
    return tmp_path / "demo-thin.loaf"


def test_it_answers_as_the_whole_one_does(demo: Path, thin: Path, tmp_path: Path, run: Run) -> None:
    asked = ("-p", "The moon", "--raw", "--temp", "0", "-n", "16")
    expected = run(demo, *asked).stdout
    assert expected
    link = tmp_path / "link.loaf"
    link.symlink_to(thin)
    for file in (thin, link):
        answered = run(file, *asked)
        assert answered.stdout == expected, answered.stderr


def test_the_weights_are_not_in_it(demo: Path, thin: Path, demo_gguf: Path) -> None:
    assert thin.with_name("demo.gguf").read_bytes() == demo_gguf.read_bytes()
    assert thin.stat().st_size < demo.stat().st_size - demo_gguf.stat().st_size + 70_000
    assert "models/demo.gguf" not in open_bundle(thin).spans


def test_building_it_so_gives_the_same(thin: Path, tmp_path: Path) -> None:
    loaf("build", "demo", "--external", "-o", str(tmp_path / "x.loaf"), check=True)
    assert (tmp_path / "x.loaf").read_bytes() == thin.read_bytes()
    assert (tmp_path / "demo.gguf").read_bytes() == thin.with_name("demo.gguf").read_bytes()


def test_it_becomes_whole_again(demo: Path, thin: Path, tmp_path: Path) -> None:
    loaf("build", str(thin), "-o", str(tmp_path / "whole.loaf"), check=True)
    assert (tmp_path / "whole.loaf").read_bytes() == demo.read_bytes()


def test_missing_weights_are_told_at_launch(copied: Path, run: Run) -> None:
    weights = copied.with_name("demo.gguf")
    with weights.open("r+b") as file:
        file.truncate(1000)
    for says, verify_says in (("has 1,000 bytes, and should have", "not as long"), ("is missing", "is missing")):
        refused = run(copied, "-p", "x")
        assert (refused.returncode, says in refused.stderr, str(weights) in refused.stderr) == (1, True, True)
        for command in ("inspect", "extract"):
            assert says in loaf(command, str(copied), cwd=copied.parent).stderr
        assert verify_says in loaf("verify", str(copied)).stderr
        weights.unlink(missing_ok=True)
    assert run(copied, "--version").returncode == 0
    assert "demo" in run(copied, "--info").stdout


def test_verify_reads_the_weights(copied: Path) -> None:
    assert loaf("verify", str(copied)).returncode == 0
    data = bytearray(copied.with_name("demo.gguf").read_bytes())
    data[-100] ^= 1
    copied.with_name("demo.gguf").write_bytes(data)
    found = loaf("verify", str(copied))
    assert (found.returncode, "models/demo.gguf" in found.stderr) == (1, True)


def test_inspect_and_extract_take_them_in(thin: Path, demo_gguf: Path, tmp_path: Path) -> None:
    assert "demo.gguf (models/demo.gguf, " in loaf("inspect", str(thin), check=True).stdout
    listed = json.loads(loaf("inspect", "--json", str(thin), check=True).stdout)
    assert listed["bundle"]["entries"]["models/demo.gguf"]["file"] == "demo.gguf"
    assert listed["models"][0]["architecture"] == "llama"
    loaf("extract", str(thin), "-o", str(tmp_path / "parts"), check=True)
    assert (tmp_path / "parts" / "models" / "demo.gguf").read_bytes() == demo_gguf.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small bundle `x.loaf` of `m.gguf`, in a folder of its own."""
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "build-cache"))
    (tmp_path / "in").mkdir()
    weights = small_gguf(tmp_path / "in" / "m.gguf")
    build_small(tmp_path / "in" / "x.loaf", weights, small_runtime(tmp_path / "r", "one"))
    return tmp_path / "in"


def nothing(_bytes: int) -> None:
    pass


def test_a_file_that_is_there_is_used_or_kept(folder: Path, tmp_path: Path) -> None:
    inode = (folder / "m.gguf").stat().st_ino
    build_small(folder / "y.loaf", folder / "m.gguf", small_runtime(tmp_path / "r", "one"), external=True)
    split(folder / "x.loaf", folder / "z.loaf", nothing)
    assert (folder / "m.gguf").stat().st_ino == inode, "its own weights lie there already"
    assert opened_whole(folder / "y.loaf").beside() == opened_whole(folder / "z.loaf").beside()
    mine = tmp_path / "mine.gguf"
    mine.write_bytes((folder / "m.gguf").read_bytes()[:-1] + b"x")
    (folder / "m.gguf").unlink()
    shutil.copy(mine, folder / "m.gguf")
    with pytest.raises(FileTaken):
        split(folder / "x.loaf", folder / "w.loaf", nothing)
    assert (folder / "m.gguf").read_bytes() == mine.read_bytes()
    assert not (folder / "w.loaf").exists()


def test_a_bundle_is_not_split_over_itself(folder: Path) -> None:
    with pytest.raises(TargetIsSource):
        split(folder / "x.loaf", folder / "x.loaf", nothing)


def test_set_leaves_them_beside(folder: Path, tmp_path: Path) -> None:
    runtime = small_runtime(tmp_path / "r", "one")
    build_small(tmp_path / "thin.loaf", folder / "m.gguf", runtime, external=True)
    set_defaults(tmp_path / "thin.loaf", None, Baked("--temp 0", system="x"))
    bundle = opened_whole(tmp_path / "thin.loaf")
    assert (bundle.args, [entry.file for entry in bundle.beside()]) == ("--temp 0", ["m.gguf"])
    (tmp_path / "m.gguf").unlink()
    set_defaults(tmp_path / "thin.loaf", None, Baked(system="y"))
    with pytest.raises(WeightsNotBeside):
        check_beside(open_bundle(tmp_path / "thin.loaf"))


@pytest.mark.parametrize("name", ["../m.gguf", "/etc/passwd", "a\\b", "..", ".", "a\0b"])
def test_weights_elsewhere_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    build_small(tmp_path / "thin.loaf", folder / "m.gguf", small_runtime(tmp_path / "r", "one"), external=True)
    bundle = open_bundle(tmp_path / "thin.loaf")
    replace = msgspec.structs.replace
    entries = tuple(replace(one, file=name) if one.file else one for one in bundle.manifest.entries)
    with pytest.raises(BundleDamaged, match="cannot lie beside"):
        check_entries(bundle.path, replace(bundle.manifest, entries=entries), bundle.spans)
