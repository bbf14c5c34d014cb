"""A file that is not what was built never runs, and says so; a cache that lost something is mended."""

from __future__ import annotations

import gzip
import hashlib
import io
import platform
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.file.launcher import LaunchTarget, render_launcher
from runtime.bundle import ALIGNMENT, open_bundle
from runtime.bundle.head import make_head
from support.bundles import clean_environment

TOOLS = ("cat", "chmod", "dd", "gzip", "head", "ls", "mkdir", "mv", "rm", "sh", "tar", "uname")

CUTS: dict[str, Callable[[Path, int], int]] = {
    "the launcher's padding": lambda demo, size: ALIGNMENT - 1000,  # noqa: ARG005
    "the weights": lambda demo, size: middle(demo, "models/"),  # noqa: ARG005
    "the program": lambda demo, size: middle(demo, "runtime/"),  # noqa: ARG005
    "the directory": lambda demo, size: size - 100,  # noqa: ARG005
}


@pytest.mark.parametrize("warm", [False, True], ids=["first", "warm"])
@pytest.mark.parametrize("where", CUTS)
def test_a_file_cut_short_says_how_much_there_is(
    demo: Path, warm_cache: Path, tmp_path: Path, where: str, warm: bool
) -> None:
    full = demo.stat().st_size
    size = CUTS[where](demo, full)
    refused = launch(cut(demo, tmp_path, size), warm_cache if warm else tmp_path / "cache")
    assert refused.stderr == (
        f"cut.loaf: the file is incomplete: it holds {of(size, full)}. Download or copy it again.\n"
    )
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("until", ["\nfind_self() {", "\n}\n\nwhole()", '\nmain "$@"', "\nexit 1\n}\n"])
def test_half_a_script_does_nothing(demo: Path, tmp_path: Path, until: str) -> None:
    with demo.open("rb") as file:
        at = file.read(ALIGNMENT).rindex(until.encode())
    refused = launch(cut(demo, tmp_path, at + 1), tmp_path / "cache")
    assert refused.stdout == ""
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("with_sha256sum", [True, False])
def test_a_flipped_byte_in_the_program_never_runs(demo: Path, tmp_path: Path, with_sha256sum: bool) -> None:
    damaged = tmp_path / "damaged.loaf"
    shutil.copy(demo, damaged)
    with damaged.open("r+b") as file:
        file.seek(middle(demo, "runtime/"))
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    tools = {} if with_sha256sum else {"PATH": str(only_tools(tmp_path))}
    refused = launch(damaged, tmp_path / "cache", **tools)
    assert refused.stderr == (
        "damaged.loaf: the file is damaged: the program in it does not have the checksum it should. "
        "Download or copy it again.\n"
    )
    assert list((tmp_path / "cache").iterdir()) == []


def test_it_works_without_sha256sum(demo: Path, tmp_path: Path) -> None:
    launch(demo, tmp_path / "cache", succeeds=True, PATH=str(only_tools(tmp_path)))


@pytest.mark.parametrize("lost", [".whole", "loaf-runtime", ""], ids=["marker", "program", "everything"])
def test_a_core_that_lost_something_is_unpacked_again(demo: Path, warm_cache: Path, tmp_path: Path, lost: str) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(warm_cache, cache)
    (core,) = cache.iterdir()
    if lost:
        (core / lost).unlink()
    else:
        shutil.rmtree(core)
        core.mkdir()
    launch(demo, cache, succeeds=True)
    assert list(cache.iterdir()) == [core]
    assert files(core) == files(next(warm_cache.iterdir()))


def test_weights_are_not_read(tmp_path: Path) -> None:
    """Six (sparse) gigabytes of weights; the program reports what its process and its children have read so far."""
    bundle = tmp_path / "big.loaf"
    write_sparse_bundle(bundle, weights=6 * 1024**3, program=b"#!/bin/sh\nexec cat /proc/$$/io\n")
    for _ in ("first", "warm"):
        said = launch(bundle, tmp_path / "cache", succeeds=True).stdout
        match = re.search(r"rchar: (\d+)", said)
        assert match
        assert int(match[1]) < 4 * 1024**2


def launch(bundle: Path, cache: Path, succeeds: bool = False, **more: str) -> subprocess.CompletedProcess[str]:
    """Launch a bundle and check that it starts, or that it ends in an error."""
    launched = subprocess.run(
        [bundle, "--version"],
        env=clean_environment(cache, **more),
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert (launched.returncode == 0) == succeeds, launched
    return launched


def cut(demo: Path, folder: Path, size: int) -> Path:
    target = folder / "cut.loaf"
    with demo.open("rb") as source:
        target.write_bytes(source.read(size))
    target.chmod(0o755)
    return target


def middle(demo: Path, prefix: str) -> int:
    """An offset in the middle of the entry whose name begins with `prefix`."""
    spans = open_bundle(demo).spans
    span = next(span for name, span in spans.items() if name.startswith(prefix))
    return span.offset + span.size // 2


def of(size: int, full: int) -> str:
    """How much there is of how much: in bytes where the same number of megabytes would stand twice."""
    if full - size < 100_000:
        return f"{size} of {full} bytes"
    return "{} of {} MB".format(*(f"{part // 1_000_000}.{part // 100_000 % 10}" for part in (size, full)))


def only_tools(folder: Path) -> Path:
    """A folder for PATH with what the launcher needs at least, which sha256sum is not."""
    path = folder / "tools"
    path.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (path / tool).symlink_to(found)
    return path


def files(folder: Path) -> dict[str, int]:
    """Names and sizes, but for the copy of the program that is named for its launch (test_c_library.py)."""
    found = {str(file.relative_to(folder)): file.stat().st_size for file in folder.rglob("*") if file.is_file()}
    return {name: size for name, size in found.items() if not name.startswith((".place.", "loaf-runtime."))}


def write_sparse_bundle(bundle: Path, weights: int, program: bytes) -> None:
    """The real launcher before a hole where weights would be, and a small program."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        member = tarfile.TarInfo("program")
        member.mode, member.size = 0o755, len(program)
        archive.addfile(member, io.BytesIO(program))
    core = gzip.compress(raw.getvalue(), mtime=0)
    target = LaunchTarget(
        platform=f"linux-{platform.machine()}",
        offset=ALIGNMENT + weights,
        size=len(core),
        unpacked_size=len(program),
        sha256=hashlib.sha256(core).hexdigest(),
        glibc="2.17",
        executable="program",
    )
    with bundle.open("wb") as file:
        file.write(make_head(render_launcher("big", "0", target.offset + len(core), [target])))
        file.seek(target.offset)
        file.write(core)
    bundle.chmod(0o755)
