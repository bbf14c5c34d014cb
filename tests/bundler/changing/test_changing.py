"""`loaf set` and `upgrade`, as commands on bundles that are there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.changing.defaults import set_defaults, upgrade
from bundler.errors import AnotherPlatform
from bundler.file.baked import Baked
from bundler.looking.verify import verify
from bundler.progress import SilentProgress
from runtime.bundle import BundleError, open_bundle
from support.bundles import Server, loaf
from support.dying import Death, Died, calls_of, dying
from support.small_bundles import Ready, build_small, opened_whole, said_by, small_gguf, small_runtime

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_set_gives_what_building_gives(demo: Path, tmp_path: Path, run: Run) -> None:
    options = ["--name", "my model", "--args", "--temp 0 # greedy", "--system", "You are terse."]
    changed, built = tmp_path / "changed.loaf", tmp_path / "built.loaf"
    shutil.copy(demo, changed)
    assert loaf("set", str(changed), *options, check=True).stdout.startswith(f"{changed}: ")
    assert "You are terse." in run(changed, "--info").stdout
    loaf("build", "demo", *options, "-o", str(built), check=True)
    assert changed.read_bytes() == built.read_bytes()
    loaf("set", str(changed), "--name", "demo", "--args", "", check=True)
    assert open_bundle(changed).manifest.system == "You are terse.", "what is not named stays"
    assert open_bundle(changed).manifest.name == "demo"


def test_a_server_goes_on_while_its_file_is_changed(demo: Path, warm_cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.loaf"
    shutil.copy(demo, target)
    with Server(target, cache=warm_cache) as server:
        loaf("set", str(target), "--args", f"--temp 0 # {'x' * 100_000}", check=True)
        status, answer = server.post("/completion", {"prompt": "The moon", "n_predict": 4})
        assert (status, answer["tokens_predicted"]) == (200, 4)
    with Server(target, cache=warm_cache) as server:
        assert server.get("/props")[1]["default_generation_settings"]["params"]["temperature"] == 0


def test_upgrading_what_is_new_changes_nothing(demo: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.loaf"
    shutil.copy(demo, target)
    before = target.stat().st_mtime_ns
    assert "already" in loaf("upgrade", str(target), check=True).stdout
    assert target.stat().st_mtime_ns == before


FAILURES: list[tuple[str, list[str], str, int]] = [
    ("no such file", ["set", "missing", "--system", "x"], "missing", 1),
    ("not a bundle", ["set", "m.gguf", "--system", "x"], "not a loaf bundle", 1),
    ("nothing to change", ["set", "x.loaf"], "nothing to change", 2),
    ("an open quote", ["set", "x.loaf", "--args", "'"], "not ended", 1),
    ("bytes that are no text", ["set", "x.loaf", "--system", "\udcff"], "--system", 1),
    ("a name of two lines", ["set", "x.loaf", "--name", "a\nb"], "--name", 1),
    ("a name that is taken", ["set", "two.loaf", "--name", "Other"], "another model", 1),
    ("a folder", ["upgrade", "."], ".", 1),
    ("cut short", ["set", "cut.loaf", "--system", "x"], "incomplete", 1),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bundles of one and of two models, one that is cut short, and weights."""
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "build-cache"))
    runtime = small_runtime(tmp_path / "runtime", "one")
    weights = small_gguf(tmp_path / "m.gguf")
    build_small(tmp_path / "x.loaf", weights, runtime, baked=Baked("--temp 0"))
    build_small(tmp_path / "two.loaf", weights, runtime, also=(f"other={small_gguf(tmp_path / 'n.gguf')}",))
    (tmp_path / "cut.loaf").write_bytes((tmp_path / "x.loaf").read_bytes()[:-100])
    return tmp_path


@pytest.mark.parametrize(("command", "says", "code"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
def test_failures_are_told(folder: Path, command: list[str], says: str, code: int) -> None:
    before = {path: path.read_bytes() for path in folder.glob("*.loaf")}
    result = loaf(*command, cwd=folder)
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert {path: path.read_bytes() for path in folder.glob("*.loaf")} == before


def test_one_after_the_other(folder: Path) -> None:
    """Who comes second is told, and the file is left alone."""
    with (folder / "x.loaf").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = loaf("set", "x.loaf", "--system", "x", cwd=folder)
    assert (result.returncode, "by another process" in result.stderr) == (1, True), result.stderr
    assert loaf("set", "x.loaf", "--system", "x", cwd=folder).returncode == 0


def test_a_file_that_may_not_be_written(folder: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces: sysctl kernel.unprivileged_userns_clone=1, or run as root")
    command = f"{Path(sys.executable).with_name('loaf')} set {folder}/x.loaf --system x"
    script = f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && {command}"
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    assert (result.returncode, "cannot be changed: Read-only" in result.stderr) == (1, True), result.stderr


def test_a_full_disk_is_told_before_anything_is_written(folder: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces: sysctl kernel.unprivileged_userns_clone=1, or run as root")
    bundle, disk = folder / "x.loaf", folder / "disk"
    disk.mkdir()
    script = f"""
        mount -t tmpfs -o size={bundle.stat().st_size + 20_000} none {disk} && cp {bundle} {disk}/x.loaf || exit 9
        {Path(sys.executable).with_name("loaf")} set {disk}/x.loaf --system x; code=$?
        cmp {bundle} {disk}/x.loaf && exit $code
    """
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    assert (result.returncode, "for a moment" in result.stderr) == (1, True), result.stderr


def test_several_models_stay_where_they_are(folder: Path) -> None:
    target = folder / "two.loaf"
    spans = open_bundle(target).spans
    set_defaults(target, "first", Baked(system="x"))
    bundle = opened_whole(target)
    assert [model.name for model in bundle.served_models()] == ["first", "other"]
    assert {name: span for name, span in bundle.spans.items() if name.startswith("models/")} == {
        name: span for name, span in spans.items() if name.startswith("models/")
    }


def test_an_upgrade_replaces_the_program_and_its_licences(folder: Path, tmp_path: Path) -> None:
    target = folder / "x.loaf"
    new = small_runtime(folder / "new", "two", 100_000)
    assert upgrade(target, Ready(new), SilentProgress())
    assert said_by(target, tmp_path / "cache") == "two"
    with zipfile.ZipFile(target) as archive:
        assert archive.read("licenses/runtime.txt") == new.licenses.read_bytes()
    assert open_bundle(target).args == "--temp 0"
    assert not upgrade(target, Ready(new), SilentProgress())


def test_a_program_for_another_machine_is_not_replaced(folder: Path) -> None:
    other = replace(small_runtime(folder / "other", "two"), platform="linux-riscv64")
    with pytest.raises(AnotherPlatform):
        upgrade(folder / "x.loaf", Ready(other), SilentProgress())


def test_what_an_interruption_left_is_told_and_taken_away(folder: Path) -> None:
    target = folder / "x.loaf"
    copy, plain = folder / "copy.loaf", target.read_bytes()

    def change() -> None:
        set_defaults(copy, None, Baked(system="x"))

    shutil.copy(target, copy)
    calls = calls_of(folder, change)
    for call in range(2, calls + 1, 3):
        shutil.copy(target, copy)
        with dying(Death(folder, call, 0.5)), contextlib.suppress(Died):
            change()
        said = loaf("verify", str(copy), check=True).stdout
        assert "was interrupted" in said
        again = build_small(folder / "again.loaf", copy, small_runtime(folder / "other", "other"))
        assert opened_whole(again).args == "--temp 0", "it can be built from"
        loaf("set", str(copy), "--system", "", "--name", "m", check=True)
        assert len(copy.read_bytes()) == len(plain) + len('"system": ""') - len('"system": null')


def test_no_changed_byte_of_what_is_live_goes_unnoticed(folder: Path) -> None:
    """Also where a change was interrupted: with either launcher, in the weights, the program and all between."""
    target = folder / "x.loaf"
    before = target.read_bytes()
    calls = calls_of(folder, lambda: set_defaults(target, None, Baked(system="x")))
    for call in (calls // 2, calls - 1):
        target.write_bytes(before)
        with dying(Death(folder, call, 0.5)), contextlib.suppress(Died):
            set_defaults(target, None, Baked(system="x"))
        data, bundle = target.read_bytes(), opened_whole(target)
        for name, span in bundle.spans.items():
            for offset in (span.offset - 1, span.offset, span.offset + span.size - 1):
                target.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
                with contextlib.suppress(BundleError):
                    assert verify(open_bundle(target), lambda _bytes: None), f"byte {offset}, at {name}"
    assert os.access(target, os.X_OK)
