"""Bundles that are built in a moment: real in everything but the weights, and a program that says which it is."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bundler.errors import NoSuchPlatform
from bundler.freeze import FrozenRuntime, Software
from bundler.freeze.elf import BLOCK, ROOM
from bundler.looking.verify import verify
from bundler.making.build import BuildRequest, build
from bundler.programs import MadeHere, Runtimes
from bundler.programs.made import planned_runtimes
from bundler.progress import SilentProgress
from runtime import __version__
from runtime.bundle import Bundle, open_bundle
from support.bundles import clean_environment
from support.ggufs import LLAMA, TENSORS, write_gguf

HERE = f"linux-{os.uname().machine}"


def small_runtime(folder: Path, says: str, size: int = 3000, platform: str = HERE) -> FrozenRuntime:
    """A program that prints `says`; `size` bytes of noise make its archive so large.

    One for another platform brings a C library, since that platform's is not here: a folder, and room in the program.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = f"#!/bin/sh\necho {says}\nexit\n".encode()
    files = [("loaf-runtime", 0o755, program), ("noise", 0o644, os.urandom(size))]
    if platform != HERE:
        program = program.ljust(BLOCK, b"\n") + bytes(ROOM)
        files = [("glibc/libc.so.6", 0o644, b"none"), ("loaf-runtime", 0o755, program), files[1]]
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, mode, data in files:
            member = tarfile.TarInfo(name)
            member.mode, member.size = mode, len(data)
            archive.addfile(member, io.BytesIO(data))
    packed = gzip.compress(raw.getvalue(), mtime=0)
    (folder / "core.tar.gz").write_bytes(packed)
    (folder / "licenses.txt").write_text(f"The licences of {says}.\n")
    return FrozenRuntime(
        platform=platform,
        archive=folder / "core.tar.gz",
        sha256=hashlib.sha256(packed).hexdigest(),
        size=len(packed),
        unpacked_size=sum(len(data) for _name, _mode, data in files),
        executable="loaf-runtime",
        glibc="2.17",
        python="3.10",
        packages=(Software("aiohttp", "3", "Apache-2.0"),),
        libraries=(Software("llama.cpp", "0c1e57098bba43ac29e6e3b677cdceebdd22334f", "MIT"),),
        licenses=folder / "licenses.txt",
    )


class Ready(MadeHere):
    """Programs that are there already, of the version `loaf`."""

    def __init__(self, *frozen: FrozenRuntime, loaf: str = __version__) -> None:
        super().__init__(SilentProgress())
        self._ready = {one.platform: one for one in frozen}
        self._loaf = loaf

    def runtimes(self, platforms: Sequence[str] = ()) -> Runtimes:
        for name in platforms:
            if name not in self._ready:
                raise NoSuchPlatform(name, list(self._ready))
        return planned_runtimes([self._ready[name] for name in platforms or self._ready], self._loaf)


def small_gguf(path: Path) -> Path:
    """Weights of a few kilobytes, which no program computes with."""
    return write_gguf(path, LLAMA, TENSORS)


def build_small(target: Path, weights: Path, *runtimes: FrozenRuntime, **options: Any) -> Path:
    """Build a bundle in this process."""
    build(BuildRequest(str(weights), output=target, **options), Ready(*runtimes), SilentProgress())
    return target


def opened_whole(path: Path) -> Bundle:
    """The bundle at `path`, in which nothing is wrong with what is live."""
    bundle = open_bundle(path)
    found = verify(bundle, lambda _bytes: None)
    assert found == (), found
    return bundle


def said_by(path: Path, cache: Path, *shell: str) -> str:
    """What the program of the bundle prints when it is launched."""
    command = [*shell, str(path)]
    run = subprocess.run(command, env=clean_environment(cache), capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()
