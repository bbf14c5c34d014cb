"""A file with programs for several platforms: what is in it, and what each command makes of it.

The program for the other platform is a made one, so that this needs no compiler for it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.changing.defaults import set_defaults, upgrade
from bundler.changing.rewriting import rewrite
from bundler.errors import AnotherPlatform, NoPackForPlatform, PlatformUnmakeable
from bundler.file.baked import Baked
from bundler.freeze import FrozenRuntime, Software, pipeline
from bundler.packs import BackendPack, find_recipe
from bundler.programs import MadeHere, MediaPacks, Runtimes, holding
from bundler.programs.made import planned_pack, planned_runtimes
from bundler.programs.supply import NO_MEDIA, check_packs
from bundler.progress import Progress, SilentProgress
from runtime.bundle import open_bundle
from support.bundles import loaf
from support.small_bundles import HERE, Ready, build_small, opened_whole, small_gguf, small_runtime

OTHER = "linux-riscv64" if HERE == "linux-aarch64" else "linux-aarch64"


@pytest.fixture
def runtimes(tmp_path: Path) -> dict[str, FrozenRuntime]:
    """One for this machine, and one for another, with another glibc."""
    other = small_runtime(tmp_path / "other", "other", platform=OTHER)
    libraries = (Software("glibc", "2.31", ""), *other.libraries)
    here = small_runtime(tmp_path / "here", "here")
    here = replace(here, libraries=(Software("glibc", "2.36", ""), *here.libraries))
    return {HERE: here, OTHER: replace(other, libraries=libraries)}


@pytest.fixture
def both(tmp_path: Path, runtimes: dict[str, FrozenRuntime]) -> Path:
    return build_small(tmp_path / "both.loaf", small_gguf(tmp_path / "m.gguf"), *runtimes.values())


def test_each_program_is_in_it_as_it_was_frozen(both: Path, runtimes: dict[str, FrozenRuntime]) -> None:
    bundle = opened_whole(both)
    assert [one.platform for one in bundle.manifest.runtimes] == list(runtimes)
    with zipfile.ZipFile(both) as archive:
        for platform, runtime in runtimes.items():
            assert archive.read(f"runtime/{platform}/core.tar.gz") == runtime.archive.read_bytes()
        assert archive.read("licenses/runtime.txt") == runtimes[HERE].licenses.read_bytes()
        assert archive.read(f"licenses/runtime-{OTHER}.txt") == runtimes[OTHER].licenses.read_bytes()


def test_the_same_licences_are_in_it_once(tmp_path: Path, runtimes: dict[str, FrozenRuntime]) -> None:
    same = (replace(runtime, licenses=runtimes[HERE].licenses) for runtime in runtimes.values())
    bundle = opened_whole(build_small(tmp_path / "x.loaf", small_gguf(tmp_path / "m.gguf"), *same))
    assert [name for name in bundle.spans if name.startswith("licenses/")] == ["licenses/runtime.txt"]


def test_inspect_and_sbom_know_both(both: Path) -> None:
    assert [f"{platform}, glibc" in loaf("inspect", str(both)).stdout for platform in (HERE, OTHER)] == [True, True]
    listed = json.loads(loaf("inspect", "--sbom", str(both), check=True).stdout)
    depends = {one["ref"]: one["dependsOn"] for one in listed["dependencies"]}
    for platform, version in ((HERE, "2.36"), (OTHER, "2.31")):
        assert f"glibc@{version}" in depends[f"runtime/{platform}/core.tar.gz"]
    components = {one["bom-ref"] for one in listed["components"]}
    assert components >= {ref for refs in depends.values() for ref in refs}


def test_diff_names_the_platform_that_one_lacks(both: Path, tmp_path: Path, runtimes: dict[str, FrozenRuntime]) -> None:
    one = build_small(tmp_path / "one.loaf", tmp_path / "m.gguf", runtimes[HERE])
    found = {each["what"]: each for each in json.loads(loaf("diff", str(one), str(both), "--json").stdout)}
    assert found[f"runtime {OTHER}, python"] == {"what": f"runtime {OTHER}, python", "a": None, "b": "3.10"}
    assert f"runtime {HERE}, python" not in found


def test_set_keeps_both(both: Path) -> None:
    set_defaults(both, "other name", Baked(system="Be brief."))
    assert [one.platform for one in opened_whole(both).manifest.runtimes] == [HERE, OTHER]


def test_upgrade_replaces_each_by_its_own(both: Path, tmp_path: Path, runtimes: dict[str, FrozenRuntime]) -> None:
    newer = runtimes | {OTHER: small_runtime(tmp_path / "newer", "newer", platform=OTHER)}
    assert upgrade(both, Ready(*newer.values()), SilentProgress())
    with zipfile.ZipFile(both) as archive:
        for platform, runtime in newer.items():
            assert archive.read(f"runtime/{platform}/core.tar.gz") == runtime.archive.read_bytes()
        names = [name for name in archive.namelist() if name.startswith("licenses/")]
    assert names == ["licenses/runtime.txt", f"licenses/runtime-{OTHER}.txt"]
    assert not upgrade(both, Ready(*newer.values()), SilentProgress())
    opened_whole(both)


def test_upgrade_leaves_what_nobody_can_make_here(both: Path, runtimes: dict[str, FrozenRuntime]) -> None:
    before = both.read_bytes()

    with pytest.raises(AnotherPlatform, match=f"are for {HERE}, {OTHER}, and those at hand are for {HERE}"):
        upgrade(both, Ready(runtimes[HERE]), SilentProgress())
    assert both.read_bytes() == before


def test_upgrade_leaves_packs_that_another_machine_has_to_make(
    both: Path, tmp_path: Path, runtimes: dict[str, FrozenRuntime]
) -> None:
    archive = tmp_path / "vulkan.tar.gz"
    archive.write_bytes(b"packed")
    sha256 = hashlib.sha256(b"packed").hexdigest()
    pack = planned_pack(BackendPack("vulkan", OTHER, archive, 6, sha256, 9, "libggml-vulkan.so", (), "a compiler", ""))
    rewrite(both, lambda plan: replace(plan, packs=(pack,)))
    with pytest.raises(AnotherPlatform, match=f"are for {OTHER}, and those at hand are for {HERE}"):
        upgrade(both, Ready(*runtimes.values()), SilentProgress())


def test_one_that_does_not_run_here(tmp_path: Path, runtimes: dict[str, FrozenRuntime]) -> None:
    """Nobody here can ask its program, so what is baked in is taken at its word."""
    only = build_small(tmp_path / "x.loaf", small_gguf(tmp_path / "m.gguf"), runtimes[OTHER], baked=Baked("--temp 0"))
    assert open_bundle(only).args == "--temp 0"
    (tmp_path / "text").write_text("Once")
    launched = loaf("set", str(only), "--warm", str(tmp_path / "text"))
    assert (launched.returncode, "no program for this machine" in launched.stderr) == (1, True)


def test_a_platform_that_there_is_not_is_told_before_anything_is_made(tmp_path: Path) -> None:
    small_gguf(tmp_path / "m.gguf")
    result = loaf("build", "m.gguf", "--platform", "linux-s390x", "-o", "x.loaf", cwd=tmp_path)
    assert result.returncode == 1
    assert "programs for linux-s390x are not made here" in result.stderr
    assert HERE in result.stderr
    assert not (tmp_path / "x.loaf").exists()


def test_a_pack_for_another_kind_of_machine_is_not_put_in(tmp_path: Path, both: Path) -> None:
    """Neither what is made here, nor what a file has: its driver's library would be of the wrong processor."""
    small_gguf(tmp_path / "m.gguf")
    for more in ((), ("--runtime-from", str(both))) if OTHER == "linux-aarch64" else ():
        refused = loaf("build", "m.gguf", "--platform", OTHER, "--backend", "vulkan", *more, cwd=tmp_path)
        assert refused.returncode == 1
        assert "vulkan pack" in refused.stderr
        assert not list(tmp_path.glob("m.loaf"))
    check_packs([find_recipe("vulkan")], [OTHER, HERE], [HERE])
    check_packs([find_recipe("vulkan")], [], [HERE])
    with pytest.raises(NoPackForPlatform, match=f"there is no vulkan pack for {OTHER}: packs are for {HERE}"):
        check_packs([find_recipe("vulkan")], [OTHER], [HERE])


def test_inspect_says_for_which_processors(tmp_path: Path) -> None:
    runtime = replace(small_runtime(tmp_path / "here", "here"), platform="linux-x86_64", variants=("haswell", "x64"))
    file = build_small(tmp_path / "x.loaf", small_gguf(tmp_path / "m.gguf"), runtime)
    said = loaf("inspect", str(file), check=True).stdout
    assert "x64 (any processor), haswell (AVX2); 2 of 14 variants" in said
    told = json.loads(loaf("inspect", "--json", str(file), check=True).stdout)
    assert told["bundle"]["runtimes"][0]["variants"] == ["haswell", "x64"]


def test_one_that_is_of_another_loaf_is_left_out_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[str] = []
    progress = SilentProgress()
    monkeypatch.setattr(progress, "say", said.append)
    here, other = small_runtime(tmp_path / "here", "here"), small_runtime(tmp_path / "other", "other", platform=OTHER)
    made: list[FrozenRuntime | None] = [None, other]
    for name, step in {
        "freeze_runtime": lambda _progress, platform, **_options: here if platform.name == HERE else other,
        "made_runtime": lambda _platform: made[0],
        "all_platforms": lambda: (Kind(HERE), Kind(OTHER)),
    }.items():
        monkeypatch.setattr(pipeline, name, step)
    assert pipeline.frozen_runtimes(progress) == (here,)
    assert [OTHER in line for line in said] == [True]
    assert pipeline.frozen_runtimes(progress, complete=True) == (here, other), "a release has all that there are"
    assert (made.pop(0), pipeline.frozen_runtimes(progress)) == (None, (here, other))
    assert len(said) == 1


def test_the_builder_is_frozen_for_each_that_there_is_a_program_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where tools to do that are missing, the file is made without, and that is said."""
    here = small_runtime(tmp_path / "here", "here")
    builders = {HERE: here, OTHER: small_runtime(tmp_path / "other", "other", platform=OTHER)}
    said: list[str] = []
    progress = SilentProgress()
    monkeypatch.setattr(progress, "say", said.append)
    monkeypatch.setattr(holding, "this_platform", lambda: Kind(HERE))
    monkeypatch.setattr(holding, "all_platforms", lambda: (Kind(HERE), Kind(OTHER)))
    monkeypatch.setattr(holding, "freeze_builder", lambda platform, _progress: builders[platform.name])
    supply = Frozen(planned_runtimes(list(builders.values())))
    file = tmp_path / "loaf"

    def platforms() -> list[str]:
        holding.write_builder(file, supply, (), progress)
        return [one.platform for one in open_bundle(file).manifest.builders]

    assert (platforms(), said) == ([HERE, OTHER], [])

    def missing(platform: Kind, _progress: Progress) -> FrozenRuntime:
        if platform.name == OTHER:
            raise PlatformUnmakeable(OTHER, ["proot"], "Debian: apt install proot")
        return here

    monkeypatch.setattr(holding, "freeze_builder", missing)
    assert platforms() == [HERE]
    assert [OTHER in line and "apt install proot" in line for line in said] == [True]
    supply = Frozen(planned_runtimes([here]))
    assert (platforms(), len(said)) == ([HERE], 1)


class Frozen(MadeHere):
    """Programs that are there, and nothing for pictures."""

    def __init__(self, runtimes: Runtimes) -> None:
        super().__init__(SilentProgress())
        self._runtimes = runtimes

    def runtimes(self, platforms: Sequence[str] = ()) -> Runtimes:
        assert not platforms
        return self._runtimes

    def media(self, platforms: Sequence[str]) -> MediaPacks:  # noqa: ARG002
        return NO_MEDIA


class Kind:
    """A platform whose llama.cpp has been compiled."""

    def __init__(self, name: str) -> None:
        self.name = name

    def package_made(self) -> Path:
        return Path(self.name)
