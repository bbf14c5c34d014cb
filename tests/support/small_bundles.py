"""Bundles that are built in a moment: real in everything but the weights, and a program that says which it is."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import platform
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from bundler.freeze import FrozenRuntime, Software
from bundler.looking.verify import verify
from bundler.making.build import BuildRequest, build
from bundler.programs import MadeHere, Runtimes
from bundler.programs.made import planned_runtime
from bundler.progress import SilentProgress
from runtime import __version__
from runtime.bundle import Bundle, open_bundle
from support.bundles import clean_environment
from support.ggufs import LLAMA, TENSORS, write_gguf


def small_runtime(folder: Path, says: str, size: int = 3000) -> FrozenRuntime:
    """A program that prints `says`; `size` bytes of noise make its archive so large."""
    folder.mkdir(parents=True, exist_ok=True)
    program = f"#!/bin/sh\necho {says}\n".encode()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, mode, data in (("loaf-runtime", 0o755, program), ("noise", 0o644, os.urandom(size))):
            member = tarfile.TarInfo(name)
            member.mode, member.size = mode, len(data)
            archive.addfile(member, io.BytesIO(data))
    packed = gzip.compress(raw.getvalue(), mtime=0)
    (folder / "core.tar.gz").write_bytes(packed)
    (folder / "licenses.txt").write_text(f"The licences of {says}.\n")
    return FrozenRuntime(
        platform=f"linux-{platform.machine()}",
        archive=folder / "core.tar.gz",
        sha256=hashlib.sha256(packed).hexdigest(),
        size=len(packed),
        unpacked_size=len(program) + size,
        executable="loaf-runtime",
        glibc="2.17",
        python="3.10",
        packages=(Software("aiohttp", "3", "Apache-2.0"),),
        libraries=(Software("llama.cpp", "0c1e57098bba43ac29e6e3b677cdceebdd22334f", "MIT"),),
        licenses=folder / "licenses.txt",
    )


class Ready(MadeHere):
    """Programs that are there already, of the version `loaf`."""

    def __init__(self, frozen: FrozenRuntime, loaf: str = __version__) -> None:
        super().__init__(SilentProgress())
        self._ready = (frozen, loaf)

    def runtimes(self) -> Runtimes:
        frozen, loaf = self._ready
        program, licenses = planned_runtime(frozen)
        return Runtimes(loaf, (program,), (licenses,))


def small_gguf(path: Path) -> Path:
    """Weights of a few kilobytes, which no program computes with."""
    return write_gguf(path, LLAMA, TENSORS)


def build_small(target: Path, weights: Path, runtime: FrozenRuntime, **options: Any) -> Path:
    """Build a bundle in this process."""
    build(BuildRequest(str(weights), output=target, **options), Ready(runtime), SilentProgress())
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
