"""Whatever interrupts a build, a `set` or an upgrade, the file is whole: what it was, or what it was to be."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.changing.defaults import set_defaults, upgrade
from bundler.errors import NoRoomToChange
from bundler.file import replacing
from bundler.file.baked import Baked, Part
from bundler.freeze import FrozenRuntime
from bundler.progress import SilentProgress
from runtime.bundle import open_bundle, read_head
from support.dying import Death, Died, DiskFull, calls_of, dying, kill_at
from support.ggufs import LLAMA, TENSORS, write_gguf
from support.small_bundles import Ready, build_small, opened_whole, said_by, small_gguf, small_runtime

SHORT, LONG = "--temp 0", "--temp 1 # " + "x" * 200_000


@dataclass(frozen=True)
class Stand:
    """A bundle `old`, what is done to a copy of it, and `new`: a bundle built of what that comes to."""

    folder: Path
    old: Path
    new: Path
    says: tuple[str, str]
    change: Callable[[Path], object]

    def fresh(self) -> Path:
        target = self.folder / "x.loaf"
        shutil.copy(self.old, target)
        return target

    def check(self, target: Path) -> str:
        """It runs, and is one of the two; returns which."""
        bundle = opened_whole(target)
        said = said_by(target, self.folder / "cache")
        for name, path, says in zip(("old", "new"), (self.old, self.new), self.says, strict=True):
            other = open_bundle(path)
            if (bundle.args, bundle.manifest.models, said) == (other.args, other.manifest.models, says):
                return name
        raise AssertionError(f"neither the old nor the new one: {bundle.args[:20]}, {said}")


@pytest.fixture(autouse=True)
def _build_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path_factory.mktemp("build-cache")))


@pytest.fixture(params=["set", "set shorter", "another part", "upgrade", "downgrade"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    weights = small_gguf(tmp_path / "m.gguf")
    small, large = small_runtime(tmp_path / "1", "one"), small_runtime(tmp_path / "2", "two", 300_000)

    def made(name: str, runtime: FrozenRuntime, args: str) -> Path:
        return build_small(tmp_path / f"{name}.loaf", weights, runtime, baked=Baked(args))

    def setting(args: str) -> Callable[[Path], object]:
        return lambda path: set_defaults(path, None, Baked(args=args))

    def upgrading(runtime: FrozenRuntime) -> Callable[[Path], object]:
        return lambda path: upgrade(path, Ready(runtime), SilentProgress())

    def with_draft(name: str) -> Baked:
        return Baked(SHORT, parts=(Part("draft", tmp_path / f"{name}.gguf", name),))

    for name, padding in (("d", 0), ("e", 100_000)):
        write_gguf(tmp_path / f"{name}.gguf", {**LLAMA, "general.description": "x" * padding}, TENSORS)
    drafts = [build_small(tmp_path / f"{name}.loaf", weights, small, baked=with_draft(name)) for name in ("d", "e")]
    one, other, upgraded = made("a", small, SHORT), made("b", small, LONG), made("c", large, SHORT)
    rows = {
        "set": (one, other, ("one", "one"), setting(LONG)),
        "set shorter": (other, one, ("one", "one"), setting(SHORT)),
        "another part": (*drafts, ("one", "one"), lambda path: set_defaults(path, None, with_draft("e"))),
        "upgrade": (one, upgraded, ("one", "two"), upgrading(large)),
        "downgrade": (upgraded, one, ("two", "one"), upgrading(small)),
    }
    return Stand(tmp_path, *rows[request.param])


def test_what_is_changed_is_what_would_have_been_built(stand: Stand) -> None:
    target = stand.fresh()
    stand.change(target)
    assert target.read_bytes() == stand.new.read_bytes()


@pytest.mark.parametrize("part", [0.0, 0.0002, 0.5, 0.99])  # the second: within the mark of a change
def test_dead_at_any_write(stand: Stand, part: float) -> None:
    """What was left over is of no consequence: the change done again gives what it would have given."""
    found = set()
    for call in range(1, calls_of(stand.folder, lambda: stand.change(stand.fresh())) + 1):
        target = stand.fresh()
        with dying(Death(stand.folder, call, part)), contextlib.suppress(Died):
            stand.change(target)
        found.add(stand.check(target))
        stand.change(target)
        assert target.read_bytes() == stand.new.read_bytes(), f"after call {call}"
    assert found == {"old", "new"}


def test_dead_twice(stand: Stand) -> None:
    """What an interruption left is being set right, and that is interrupted, too."""
    calls = calls_of(stand.folder, lambda: stand.change(stand.fresh()))
    for first in range(1, calls + 1, 3):
        for second in range(1, calls, 5):
            target = stand.fresh()
            for call in (first, second):
                with dying(Death(stand.folder, call, 0.5)), contextlib.suppress(Died):
                    stand.change(target)
            stand.check(target)
        stand.change(target)
        assert target.read_bytes() == stand.new.read_bytes(), f"after calls {first}, {second}"


def test_killed_at_random(stand: Stand, tmp_path: Path) -> None:
    chance = random.Random(1)
    calls = calls_of(stand.folder, lambda: stand.change(stand.fresh()))
    for _ in range(25):
        target = stand.fresh()
        assert kill_at(tmp_path, chance.randint(1, calls), chance.random(), lambda: stand.change(tmp_path / "x.loaf"))
        stand.check(target)


@pytest.mark.parametrize("has_unnamed", [True, False])
def test_a_build_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_unnamed: bool) -> None:
    """Whether the file system has files without names (`O_TMPFILE`), or not."""
    if not has_unnamed:
        monkeypatch.setattr(replacing, "_open_unnamed", lambda _folder, _mode: None)
    chance = random.Random(1)
    weights, runtime = small_gguf(tmp_path / "m.gguf"), small_runtime(tmp_path / "r", "one")
    target, cache = tmp_path / "x.loaf", tmp_path / "cache"

    def build_again() -> None:
        build_small(target, weights, runtime, baked=Baked(LONG))

    build_small(target, weights, runtime, baked=Baked(SHORT))
    old = target.read_bytes()
    calls = calls_of(tmp_path, build_again)
    new = target.read_bytes()
    for _ in range(25):
        target.write_bytes(old)
        assert kill_at(tmp_path, chance.randint(1, calls), chance.random(), build_again)
        assert target.read_bytes() in (old, new)
    assert said_by(target, cache) == "one"


@pytest.mark.parametrize("shell", [["dash"], ["busybox", "sh"], ["bash"]], ids=lambda shell: shell[0])
def test_every_shell_finds_the_launcher_that_is_live(stand: Stand, shell: list[str]) -> None:
    calls = calls_of(stand.folder, lambda: stand.change(stand.fresh()))
    has_second = 0
    for call in range(1, calls + 1):
        target = stand.fresh()
        with dying(Death(stand.folder, call, 0.5)), contextlib.suppress(Died):
            stand.change(target)
        if not read_head(target).is_first:
            has_second += 1
            assert said_by(target, stand.folder / "cache", *shell) == stand.says[0]
    assert has_second > 5


def test_a_disk_that_is_full_at_any_write(stand: Stand) -> None:
    """It is said, and the file is, byte for byte, what it was: nothing is left over."""
    before = stand.old.read_bytes()
    for call in range(1, calls_of(stand.folder, lambda: stand.change(stand.fresh())) + 1):
        target = stand.fresh()
        with dying(DiskFull(stand.folder, call, 0.5)):
            try:
                stand.change(target)
            except NoRoomToChange:
                assert target.read_bytes() in (before, stand.new.read_bytes())
            else:  # what is copied in the kernel is done in another way where that fails
                assert target.read_bytes() == stand.new.read_bytes()
