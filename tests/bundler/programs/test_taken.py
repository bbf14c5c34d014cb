"""Programs out of another bundle: what a build, an upgrade and a run take from it, and what they refuse."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bundler.changing.defaults import upgrade
from bundler.errors import PackMissing, ProgramDamaged, RuntimeOlder
from bundler.looking.doctor import findings
from bundler.making.build import BuildRequest, build
from bundler.packs import find_recipe
from bundler.programs import TakenFrom, programs_from
from bundler.programs.holding import write_programs
from bundler.progress import SILENCE, SilentProgress
from runtime.bundle import BundleTruncated, NoModelInside, NotABundle, open_bundle
from support.bundles import loaf
from support.small_bundles import Ready, build_small, opened_whole, said_by, small_gguf, small_runtime


class Heard(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_gguf(tmp_path_factory.mktemp("weights") / "tiny.gguf")


@pytest.fixture
def source(weights: Path, tmp_path: Path) -> Path:
    """A bundle whose program says "source"."""
    return build_small(tmp_path / "source.loaf", weights, small_runtime(tmp_path / "its", "source"))


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A bundle of nothing but that program."""
    supply = Ready(small_runtime(tmp_path / "alone", "alone"), loaf="7.0.0")
    write_programs(tmp_path / "programs.loaf", supply, (), SILENCE)
    return tmp_path / "programs.loaf"


def taken(path: Path) -> TakenFrom:
    return TakenFrom(path, SILENCE, is_named=True)


def test_a_build_takes_what_another_bundle_has(weights: Path, source: Path, tmp_path: Path) -> None:
    heard = Heard()
    target = tmp_path / "built.loaf"
    build(BuildRequest(str(weights), output=target), TakenFrom(source, heard, is_named=True), SILENCE)
    assert said_by(target, tmp_path / "cache") == "source"
    assert target.read_bytes() == source.read_bytes(), "as if the program had been made here"
    assert len(heard.said) == 1
    assert str(source) in heard.said[0]
    assert "loaf 0.1.0" in heard.said[0]


def test_a_file_of_programs_alone_is_whole_and_serves_for_builds(programs: Path, weights: Path, tmp_path: Path) -> None:
    assert opened_whole(programs).manifest.models == ()
    target = tmp_path / "built.loaf"
    build(BuildRequest(str(weights), output=target), taken(programs), SILENCE)
    assert said_by(target, tmp_path / "cache") == "alone"
    bundle = opened_whole(target)
    assert bundle.manifest.loaf == "7.0.0", "the version is the program's"
    assert bundle.text("licenses/runtime.txt") == "The licences of alone.\n"


@pytest.mark.parametrize("asked", [("set", "--temp", "0"), ("split",), ("build",)])
def test_what_takes_a_model_says_that_there_is_none(asked: tuple[str, ...], programs: Path, tmp_path: Path) -> None:
    command, *flags = asked
    result = loaf(command, str(programs), *flags, cwd=tmp_path)
    assert result.returncode == 1
    assert "has no model in it, only programs" in result.stderr
    with pytest.raises(NoModelInside):
        upgrade(programs, taken(programs), SILENCE)


def test_inspect_and_verify_take_programs_alone(programs: Path) -> None:
    shown = loaf("inspect", str(programs), check=True).stdout
    assert "made by loaf 7.0.0" in shown
    assert "intact" in loaf("verify", str(programs), check=True).stdout


@pytest.mark.parametrize("part", ["core.tar.gz", "licenses/runtime.txt"])
def test_a_damaged_program_is_refused_by_name(part: str, source: Path, weights: Path, tmp_path: Path) -> None:
    bundle = open_bundle(source)
    entry = next(name for name in bundle.spans if name.endswith(part))
    with source.open("r+b") as file:
        file.seek(bundle.spans[entry].offset + 5)
        file.write(b"?")
    target = tmp_path / "built.loaf"
    with pytest.raises(ProgramDamaged, match=part) as raised:
        build(BuildRequest(str(weights), output=target), taken(source), SILENCE)
    assert (raised.value.path, raised.value.name) == (source, entry)
    assert not target.exists()


@pytest.mark.parametrize(
    ("left", "error"), [(0, NotABundle), (60_000, BundleTruncated), (-1, BundleTruncated), (70_000, BundleTruncated)]
)
def test_half_a_file_is_told_as_such(left: int, error: type[Exception], source: Path, weights: Path) -> None:
    os.truncate(source, left if left >= 0 else source.stat().st_size + left)
    with pytest.raises(error):
        build(BuildRequest(str(weights), output=source.with_name("built.loaf")), taken(source), SILENCE)


def test_a_pack_that_is_not_there_is_not_compiled(source: Path) -> None:
    for asked in ("vulkan", "cuda:75-real"):
        with pytest.raises(PackMissing, match="packs in it: none"):
            taken(source).check([find_recipe(asked)])


def test_an_upgrade_goes_back_only_when_the_file_is_named(source: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.loaf"
    write_programs(older, Ready(small_runtime(tmp_path / "old", "older"), loaf="0.0.9"), (), SILENCE)
    before = source.read_bytes()
    with pytest.raises(RuntimeOlder) as raised:
        upgrade(source, TakenFrom(older, SILENCE, is_named=False), SILENCE)
    assert (raised.value.has, raised.value.offered) == ("0.1.0", "0.0.9")
    assert source.read_bytes() == before
    assert upgrade(source, taken(older), SILENCE)
    assert said_by(source, tmp_path / "cache") == "older"
    assert opened_whole(source).manifest.loaf == "0.0.9"
    assert not upgrade(source, taken(older), SILENCE), "it has it already"


def test_versions_are_numbers(source: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.loaf"
    write_programs(newer, Ready(small_runtime(tmp_path / "new", "newer"), loaf="0.10.0"), (), SILENCE)
    assert upgrade(source, TakenFrom(newer, SILENCE, is_named=False), SILENCE)
    assert said_by(source, tmp_path / "cache") == "newer"


def test_the_command_runs_a_model_with_the_demo_s_program(demo: Path, tmp_path: Path) -> None:
    """No compiler is looked for: there is none on this PATH."""
    environment = {
        "PATH": str(tmp_path),
        "HOME": str(tmp_path),
        "LOAF_BUILD_CACHE": os.environ.get("LOAF_BUILD_CACHE", ""),
    }
    environment = {name: value for name, value in environment.items() if value}
    answer = loaf(
        "run", "--runtime-from", str(demo), "demo", "-p", "The first man on the moon was", "--raw", env=environment
    )
    assert answer.returncode == 0, answer.stderr
    assert "Neil Armstrong" in answer.stdout
    assert f"from {demo}" in answer.stderr


def test_what_is_named_comes_first(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bundler.programs.own_programs", lambda: source.with_name("another"))
    assert programs_from(source, SILENCE).is_named
    assert not programs_from(None, SILENCE).is_named
    assert isinstance(programs_from(None, SILENCE), TakenFrom)


def test_an_installed_wheel_has_programs_and_compiles_nothing(
    programs: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bundler.paths.PROGRAMS", str(programs))
    target = tmp_path / "built.loaf"
    build(BuildRequest(str(weights), output=target), programs_from(None, SILENCE), SILENCE)
    assert said_by(target, tmp_path / "cache") == "alone"
    (fatal, *_rest) = findings()
    assert fatal.sentence.startswith("Nothing is compiled: programs for linux-")
    os.truncate(programs, 70_000)
    (fatal, *_rest) = findings()
    assert fatal.is_fatal
