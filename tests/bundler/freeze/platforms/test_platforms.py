"""Which platforms programs can be made for here, and what is said where they cannot."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from bundler.errors import CompilerMissing, NoSuchPlatform, PlatformUnmakeable
from bundler.freeze import compiler, libraries, variants
from bundler.freeze.platforms import all_platforms, find_platform, this_platform
from bundler.freeze.platforms.linux_aarch64 import LinuxAarch64
from bundler.progress import SilentProgress

pytestmark = pytest.mark.usefixtures("cache_folder")

GCC_12 = compiler.Compiler("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "12.2.0")


def test_the_machine_s_own_comes_first() -> None:
    names = [each.name for each in all_platforms()]
    assert names[0] == this_platform().name == f"linux-{platform.machine()}"
    assert names.count("linux-aarch64") == 1
    assert find_platform("linux-aarch64").name == "linux-aarch64"


def test_one_that_there_is_not() -> None:
    with pytest.raises(NoSuchPlatform, match="programs for darwin-arm64 are not made here") as told:
        find_platform("darwin-arm64")
    assert set(told.value.known) == {each.name for each in all_platforms()}


def test_what_is_missing_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformUnmakeable) as told:
        LinuxAarch64().compiled_package(SilentProgress())
    assert set(told.value.missing) >= {"aarch64-linux-gnu-g++", "proot", "qemu-aarch64"}
    assert "apt install g++-aarch64-linux-gnu proot qemu-user" in str(told.value.hint)


def test_one_that_nobody_has_made_is_not_in_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it where its compiler has gone, by which one would know that it is the right one."""
    assert LinuxAarch64().package_made() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert LinuxAarch64().package_made() is None
    with pytest.raises(CompilerMissing, match="linux-gnu-g"):
        compiler.find_compiler("s390x" if platform.machine() == "aarch64" else "aarch64")


@pytest.mark.parametrize(("machine", "is_left_out"), [("aarch64", True), ("x86_64", False)])
def test_variants_that_the_compiler_does_not_know_are_left_out(
    monkeypatch: pytest.MonkeyPatch, machine: str, is_left_out: bool
) -> None:
    keys, known = [], []
    for knows in (True, False):
        monkeypatch.setattr(variants, "understands", lambda _compiler, *_flags, knows=knows: knows)
        keys.append(libraries.libraries_key(GCC_12, machine))
        known.append(variants.all_variants(GCC_12, machine))
    assert (keys[0] != keys[1]) is is_left_out
    assert ({*known[0]} - {*known[1]} == {"armv9.2_1", "armv9.2_2"}) is is_left_out


def test_a_compiler_is_asked_what_it_understands() -> None:
    found = compiler.find_compiler()
    assert compiler.understands(found, "-O2")
    assert not compiler.understands(found, "-march=none")
