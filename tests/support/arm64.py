"""64-bit ARM on a machine of another kind: a root folder for it under proot and qemu, and a bundle for both.

The root has nothing but a busybox that needs nothing. Where no program for ARM has been frozen, tests are skipped:
compiling one takes longer than all of them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.freeze import frozen_runtimes
from bundler.freeze.platforms.linux_aarch64.debian import unpack_packages
from bundler.progress import SilentProgress
from bundler.store.cache import cached, key_of, log_file
from support.bundles import loaf
from support.roots import ENVIRONMENT, FOLDERS
from support.small_bundles import HERE

ARM64 = "linux-aarch64"
_BUSYBOX_BYTES = 100_000_000  # apt's lists, for a moment


@dataclass(frozen=True)
class Emulated:
    """A root folder with a bundle in it, as /demo.loaf, and the `processor` that qemu plays."""

    path: Path
    processor: str = "max"

    def command(self, *command: str) -> list[str]:
        """`command` in this root, by a process that becomes proot."""
        emulator = f"qemu-aarch64 -cpu {self.processor}"
        return ["proot", "-q", emulator, "-r", str(self.path), "-b", "/dev", "-b", "/proc", "-w", "/", *command]

    def run(self, *command: str, timeout: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
        """What `command` says there."""
        return subprocess.run(
            self.command(*command),
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Inside, but for PATH, by which proot and qemu are found: busybox's commands are in the same folders."""
        return ENVIRONMENT | {"LOAF_CACHE_DIR": "/root/cache"}

    def program(self, *command: str) -> Path:
        """A file outside that runs `command` in this root, with the arguments that it is given."""
        file = self.path.with_name(f"in-{self.path.name}")
        file.write_text(f'#!/bin/sh\nexec {shlex.join(self.command(*command))} "$@"\n')
        file.chmod(0o755)
        return file


def fat_bundle(folder: Path) -> Path:
    """The demo bundle for this machine and for ARM."""
    if HERE == ARM64:
        pytest.skip("this machine is one: all other tests are for it")
    missing = [tool for tool in ("proot", "qemu-aarch64", "apt-get", "dpkg") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {' '.join(missing)}: apt-get install proot qemu-user")
    if ARM64 not in {runtime.platform for runtime in frozen_runtimes(SilentProgress())}:
        pytest.skip(f"needs a program for ARM: loaf runtime freeze --platform {ARM64}")
    loaf("build", "demo", "-o", str(folder / "fat.loaf"), check=True)
    return folder / "fat.loaf"


def arm64_root(path: Path, bundle: Path) -> Emulated:
    """Nothing but a busybox for ARM, and the bundle."""
    busybox = cached("busybox", key_of(static=ARM64), _fetch_busybox, needs=_BUSYBOX_BYTES) / "bin/busybox"
    for folder in FOLDERS:
        (path / folder).mkdir(parents=True)
    shutil.copy(busybox, path / "bin/busybox")
    root = Emulated(path)
    for applet in root.run("/bin/busybox", "--list").stdout.split():
        if applet != "busybox":
            (path / "bin" / applet).symlink_to("busybox")
    try:
        os.link(bundle, path / "demo.loaf")
    except OSError:
        shutil.copy(bundle, path / "demo.loaf")
    return root


def _fetch_busybox(folder: Path) -> None:
    unpack_packages(folder, ["busybox-static"], log_file("busybox-arm64"))
