"""A Debian for arm64 with Python and what tests are run with, in the build cache.

Refuses to know how it is run.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bundler.freeze.packages import new_environment, pip
from bundler.freeze.pins import pins
from bundler.freeze.platforms.linux_aarch64.debian import link_merged, unpack_packages
from bundler.freeze.platforms.linux_aarch64.packages import into
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file

_PACKAGES = (
    *("python3", "libc-bin", "bash", "dash", "coreutils", "sed", "grep", "gawk", "tar", "gzip", "findutils"),
    *("util-linux", "mount", "procps", "debianutils", "busybox", "hostname", "binutils"),
    *("zip", "unzip", "p7zip-full", "libarchive-tools", "gcc", "libc6-dev", "libgomp1", "libstdc++6", "openssl"),
)
_TESTED_WITH = ("pytest==", "pytest-timeout==", "pytest-xdist==", "hypothesis==")
STATIC_BUSYBOX = "usr/lib/busybox-static"
"""Where in the folder one lies that needs no C library: tests make systems of it."""

_NEEDS_BYTES = 900_000_000


def system_folder(progress: Progress) -> Path:
    """It, fetched when the cache has none."""
    wanted = (*pins("builder"), *(pin for pin in pins("test") if pin.startswith(_TESTED_WITH)))
    key = key_of(packages=" ".join(_PACKAGES), wanted=" ".join(wanted))
    return cached("arm64-machine", key, lambda folder: _make(folder, wanted, progress), needs=_NEEDS_BYTES)


def _make(folder: Path, wanted: tuple[str, ...], progress: Progress) -> None:
    log = log_file("arm64-machine")
    log.unlink(missing_ok=True)
    with progress.step("Fetching a Debian for arm64", None, "steps") as advance:
        unpack_packages(folder, _PACKAGES, log, lambda _line: advance(1))
    _settle(folder)
    unpack_packages(folder / "static", ["busybox-static"], log)
    shutil.move(folder / "static/bin/busybox", folder / STATIC_BUSYBOX)
    shutil.rmtree(folder / "static")
    with progress.step("Fetching what tests are run with", None, "steps"):
        _install(folder / "packages", wanted, next(folder.glob("usr/bin/python3.[0-9]*")).name, log)


def _settle(folder: Path) -> None:
    """What the packages' scripts would do, which are not run."""
    link_merged(folder)
    for name in ("dev", "proc", "sys", "tmp", "root", "run"):
        (folder / name).mkdir(exist_ok=True)
    for name, target in (("awk", "gawk"), ("which", "which.debianutils"), ("cc", "gcc")):
        (folder / "usr/bin" / name).unlink(missing_ok=True)
        (folder / "usr/bin" / name).symlink_to(target)
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (folder / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")


def _install(folder: Path, wanted: tuple[str, ...], python: str, log: Path) -> None:
    tools = folder.with_name("tools")
    flags = into(folder, python.removeprefix("python"))
    pip(new_environment(tools, log), ["install", *flags, *wanted], step="installing", wanted="what tests need", log=log)
    shutil.rmtree(tools)
