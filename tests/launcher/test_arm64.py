"""The bundle for both platforms on emulated 64-bit ARM, in a root without a C library: the same as on this machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_community.llms.llamafile import Llamafile

from runtime.bundle import open_bundle
from support.arm64 import ARM64, Emulated, arm64_root, fat_bundle
from support.bundles import Run, Server
from support.once import made_once
from support.small_bundles import HERE
from support.waiting import wait_until

MOON = ("-p", "Who was the first man on the moon?", "--temp", "0")


@pytest.fixture(scope="session")
def fat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo bundle for this machine and for ARM. Read-only for tests."""

    def make(folder: Path) -> None:
        fat_bundle(folder)

    return made_once(tmp_path_factory, "fat", make) / "fat.loaf"


@pytest.fixture(scope="module")
def arm(fat: Path, tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    """A root with its program unpacked. Read-only for tests."""
    root = arm64_root(tmp_path_factory.mktemp("roots") / "arm64", fat)
    launched = root.run("/demo.loaf", "--version")
    assert (launched.returncode, launched.stderr) == (0, "")
    return root


@pytest.fixture
def fresh(arm: Emulated) -> Iterator[Emulated]:
    """The same with nothing unpacked; what it had is put back."""
    cache = arm.path / "root/cache"
    cache.rename(arm.path / "root/kept")
    yield arm
    shutil.rmtree(cache, ignore_errors=True)
    (arm.path / "root/kept").rename(cache)


def test_it_answers_as_here(arm: Emulated, fat: Path, run: Run) -> None:
    here, there = run(fat, *MOON), arm.run("/demo.loaf", *MOON)
    assert (there.returncode, there.stdout, there.stderr) == (0, here.stdout, here.stderr)
    assert "Neil Armstrong" in there.stdout


def test_it_unpacks_its_own_program_alone(arm: Emulated) -> None:
    manifest = open_bundle(arm.path / "demo.loaf").manifest
    digests = {entry.name: entry.sha256 for entry in manifest.entries}
    unpacked = {folder.name for folder in (arm.path / "root/cache").glob("core-*")}
    assert unpacked == {f"core-{digests[f'runtime/{ARM64}/core.tar.gz'][:16]}"}


USES = {"armv8.0_1": "", "armv8.2_2": "dot product", "armv8.6_2": "SVE2"}
"""What each variant uses that the one before does not."""


@pytest.mark.parametrize(
    ("processor", "best"),
    [("cortex-a72", ["armv8.0_1"]), ("cortex-a76", ["armv8.2_2"]), ("max", ["armv8.6_2", "armv8.2_2"])],
)
def test_each_processor_gets_the_best_that_it_can_run(
    arm: Emulated, fat: Path, processor: str, best: list[str]
) -> None:
    """Of those that were compiled, the first or all."""
    variant = next(one for one in best if one in _variants(fat))
    explained = replace(arm, processor=processor).run("/demo.loaf", "--explain").stdout
    assert f" computes with {variant}, " in explained
    assert re.search(r"^This is loaf .* on aarch64, glibc 2\.\d+ of its own\.$", explained, re.MULTILINE)
    assert USES[variant] in explained


def test_the_oldest_processor_answers(arm: Emulated) -> None:
    assert "Neil Armstrong" in replace(arm, processor="cortex-a53").run("/demo.loaf", *MOON).stdout


def test_it_serves_llamafile_s_clients(arm: Emulated, tmp_path: Path) -> None:
    with Server(arm.program("/demo.loaf"), cache=tmp_path, environment=arm.environment) as server:
        assert "Neil Armstrong" in Llamafile(base_url=server.url, temperature=0).invoke("The first man on the moon was")
        # proot takes no notice of SIGTERM: what it started is told itself.
        (program,) = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        os.kill(int(program), signal.SIGTERM)
        server.process.wait(timeout=20)


def test_ten_first_launches_at_once(fresh: Emulated) -> None:
    command = fresh.command("/demo.loaf", "--version")
    started = [
        subprocess.Popen(command, env=fresh.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    said = {process.communicate(timeout=240) for process in started}
    assert [process.returncode for process in started] == [0] * 10, said
    assert len(said) == 1
    assert len(list((fresh.path / "root/cache").iterdir())) == 1


def test_an_unpacking_that_was_killed(fresh: Emulated) -> None:
    cache = fresh.path / "root/cache"
    process = subprocess.Popen(fresh.command("/demo.loaf", "--version"), env=fresh.environment, start_new_session=True)
    wait_until(lambda: any(cache.glob(".core-*/_internal")), seconds=60)
    subprocess.run(["kill", f"-{signal.SIGKILL}", "--", f"-{process.pid}"], check=True)
    process.wait()
    assert not list(cache.glob("core-*"))
    assert fresh.run("/demo.loaf", *MOON).returncode == 0
    assert [folder.name[:5] for folder in cache.iterdir()] == ["core-"]


@pytest.mark.timeout(1800)  # with the command frozen under emulation
def test_the_builder_as_one_file(arm: Emulated, builder: Path, demo_gguf: Path) -> None:
    """What it builds there, without a Python, a compiler and a network, answers there."""
    for name, file in (("loaf", builder), ("m.gguf", demo_gguf)):
        shutil.copy(file, arm.path / name)
    built = arm.run("/loaf", "build", "/m.gguf", "--temp", "0", "-o", "/m.loaf", timeout=600)
    assert built.returncode == 0, built.stderr
    assert {one.platform for one in open_bundle(arm.path / "m.loaf").manifest.runtimes} == {HERE, ARM64}
    assert "Neil Armstrong" in arm.run("/m.loaf", *MOON[:2]).stdout


def _variants(fat: Path) -> tuple[str, ...]:
    (program,) = (one for one in open_bundle(fat).manifest.runtimes if one.platform == ARM64)
    return program.variants
