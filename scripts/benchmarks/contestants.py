"""Who is measured: a bundle, the same program as a onefile, llama-server. How each is told to do the same.

Knows command lines. Refuses to know what is measured.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from processes import plain_environment

LOAF, LOOKUP, ONEFILE = "loaf", "loaf --lookup", "onefile"
PACKED = "with a GPU pack"
OWN = "its own C library"
LLAMA_SERVER, SPLIT = "llama-server", "the same, pool split"
MARKER = "<__media__>"
"""What stands for a picture in a prompt: libmtmd's own, as loaf has it; llama-server makes one up unless it is told."""

_LAUNCHER = 65536
"""Bytes at the beginning of a bundle, with the launcher in them."""


@dataclass(frozen=True, slots=True)
class Load:
    """What every server is told, in tokens: context, batch and what of it is computed at once; requests, threads."""

    context: int = 2048
    slots: int = 8
    batch: int = 2048
    ubatch: int = 512
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))

    @property
    def flags(self) -> list[str]:
        sizes = ["-c", str(self.context), "-b", str(self.batch), "-ub", str(self.ubatch)]
        return [*sizes, "-np", str(self.slots), "-t", str(self.threads)]


@dataclass(frozen=True, slots=True)
class Contestant:
    """`server` has `{port}` where the port goes. `scratch` is the one folder that a launch writes to."""

    name: str
    version: list[str]
    server: list[str]
    env: dict[str, str]
    scratch: Path


def bundle(path: Path, load: Load, scratch: Path) -> Contestant:
    """A .loaf with its weights inside, which unpacks its program into `scratch` once."""
    scratch.mkdir(mode=0o700)
    serve = ["--server", "--nobrowser", "--port", "{port}", *load.flags]
    env = plain_environment(LOAF_CACHE_DIR=str(scratch))
    return Contestant(LOAF, [str(path), "--version"], [str(path), *serve], env, scratch)


def packed_bundle(path: Path, load: Load, scratch: Path) -> Contestant:
    """A .loaf with a Vulkan pack, where Vulkan's loader knows no driver: the processor computes, as without."""
    each = bundle(path, load, scratch)
    no_driver = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent"}
    return replace(each, name=PACKED, env=each.env | no_driver)


def with_own_c_library(each: Contestant, path: Path, scratch: Path) -> Contestant:
    """The same bundle, copied to `path`, on a machine whose C library is too old for it, as it takes it."""
    shutil.copy(each.version[0], path)
    scratch.mkdir(mode=0o700, exist_ok=True)
    with path.open("r+b") as copied:
        head = copied.read(_LAUNCHER)
        needed = re.compile(rb"( glibc=)\d+\.\d+$", re.MULTILINE)
        copied.seek(0)
        copied.write(needed.sub(lambda found: found[1] + b"99.9"[: len(found[0]) - len(found[1])], head))
    server = [str(path), *each.server[1:]]
    env = each.env | {"LOAF_CACHE_DIR": str(scratch)}
    return Contestant(OWN, [str(path), "--version"], server, env, scratch)


def bundle_with(path: Path, weights: Path, load: Load, scratch: Path, *more: str, lookup: bool = False) -> Contestant:
    """A .loaf that serves other weights than its own, so that one is enough for all models."""
    scratch.mkdir(mode=0o700, exist_ok=True)
    serve = ["--server", "--nobrowser", "--port", "{port}", "-m", str(weights), *load.flags]
    env = plain_environment(LOAF_CACHE_DIR=str(scratch))
    name = LOOKUP if lookup else LOAF
    serve += [*more, *["--lookup"] * lookup]
    return Contestant(name, [str(path), "--version"], [str(path), *serve], env, scratch)


def onefile(path: Path, weights: Path, load: Load, scratch: Path) -> Contestant:
    """PyInstaller's onefile of the same program, which unpacks itself into `scratch` at each launch.

    The weights stay outside, in its favour: it would copy them as well.
    """
    scratch.mkdir()
    serve = ["--server", "--nobrowser", "--port", "{port}", "-m", str(weights), *load.flags]
    env = plain_environment(TMPDIR=str(scratch))
    return Contestant(ONEFILE, [str(path), "--version"], [str(path), *serve], env, scratch)


def llama_server(path: Path, weights: Path, load: Load, scratch: Path, *more: str, split: bool = False) -> Contestant:
    """llama.cpp's own server; without its warm-up, which loaf does not do either, and with one pool for all slots.

    With `split` each slot has a part of the pool to itself, so that none can use, or has to look past, another's.
    """
    scratch.mkdir(exist_ok=True)
    pool = "--no-kv-unified" if split else "--kv-unified"
    serve = ["--port", "{port}", "-m", str(weights), *load.flags, pool, "--no-warmup", *more]
    name = SPLIT if split else LLAMA_SERVER
    return Contestant(
        name, [str(path), "--version"], [str(path), *serve], plain_environment(LLAMA_MEDIA_MARKER=MARKER), scratch
    )
