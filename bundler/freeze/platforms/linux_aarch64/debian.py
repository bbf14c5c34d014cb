"""Debian's packages for the other processor, unpacked into a folder: Python, its C library, and what PyInstaller asks.

apt chooses and checks them from the sources that this machine has, with a state of its own, so that it knows of no
package that is installed here. Nothing is installed: they are unpacked, and what would be run after that is not.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import StepFailed
from bundler.freeze.c_library import CLibrary
from bundler.freeze.packages import complaints
from bundler.freeze.process import CommandFailed, clean_environment, ignore, run
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file

_ARCHITECTURE = "arm64"  # dpkg's word
_TRIPLET = "aarch64-linux-gnu"
_LOADER = "ld-linux-aarch64.so.1"

_PACKAGES = ("python3", "libc-bin", "binutils", "bash", "coreutils", "libgomp1", "libstdc++6")
"""What is frozen, and what PyInstaller starts: ldd (a script for bash), objdump, strip, ldconfig, env."""

_SELECTED = re.compile(r"^Inst (python3\.\d+) ", re.MULTILINE)
_NEEDS_BYTES = 500_000_000  # measured: 44 MB of packages, 200 unpacked
_STATE = "apt"

_LDD = f"""\
#!/bin/bash
exec /lib/{_LOADER} --list "${{!#}}"
"""
"""In place of Debian's, which asks first whether the file may be read, by a system call that proot does not translate
(`faccessat2`): then PyInstaller would find no library that another one needs. The file is the last argument."""

_MERGED = ("bin", "lib", "sbin")
"""What newer releases have in /usr alone, and programs still name without it."""


@dataclass(frozen=True, slots=True)
class DebianRoot:
    """The `folder` that takes the root folder's place; `python` is the command's name in it: "python3.11"."""

    folder: Path
    python: str

    @property
    def python_version(self) -> str:
        """As in "3.11"."""
        return self.python.removeprefix("python")

    @property
    def c_library(self) -> CLibrary:
        """What all of it runs on."""
        folders = (self.folder / part / _TRIPLET for part in ("lib", "usr/lib"))
        folder = next(folder for folder in folders if (folder / "libc.so.6").exists())
        return CLibrary(folder, folder / _LOADER)


def debian_key() -> str:
    """Changes with what is asked for, and with this machine's release, which chooses the versions.

    Not with each update that Debian makes: what has been fetched is kept for as long as it is used.
    """
    release = platform.freedesktop_os_release()
    return key_of(release=f"{release['ID']} {release.get('VERSION_ID', '')}", packages=" ".join(_PACKAGES), ldd=_LDD)


def debian_root(progress: Progress) -> DebianRoot:
    """It, fetched when the cache has none. Raises `StepFailed` and `CacheError`."""
    entry = cached("debian", debian_key(), lambda folder: _make(folder, progress), needs=_NEEDS_BYTES)
    (python,) = (
        path.name for path in (entry / "usr/bin").glob("python3.*") if re.fullmatch(r"python3\.\d+", path.name)
    )
    return DebianRoot(entry, python)


def _make(folder: Path, progress: Progress) -> None:
    log = log_file("debian")
    log.unlink(missing_ok=True)
    with progress.step(f"Fetching Debian's packages for {_ARCHITECTURE}", None, "steps") as advance:
        unpack_packages(folder, _PACKAGES, log, lambda _line: advance(1))
    link_merged(folder)
    (folder / "usr/bin/ldd").write_text(_LDD)


def link_merged(folder: Path) -> None:
    """Let programs in the root `folder` be found without /usr, too, where packages have them there alone."""
    for name in _MERGED:
        if not (folder / name).exists():
            (folder / name).symlink_to(f"usr/{name}")


def unpack_packages(
    folder: Path, packages: Sequence[str], log: Path, on_line: Callable[[str], object] = ignore
) -> None:
    """Put the content of `packages`, and of all that they depend on, into `folder`. Raises `StepFailed`.

    With a Python among them comes its shared library, which is a package that nothing else asks for.
    """
    state = folder / _STATE
    environment = clean_environment(APT_CONFIG=str(_own_state(state)))
    try:
        run(["apt-get", "-q", "update"], log=log, env=environment, on_line=on_line)
        libraries = [f"lib{python}" for python in _pythons(environment, packages)]
        fetch = ["apt-get", "-q", "-y", "--download-only", "install", *packages, *libraries]
        run(fetch, log=log, env=environment, on_line=on_line)
        for package in sorted((state / "archives").glob("*.deb")):
            run(["dpkg", "-x", package, folder], log=log, env=environment)
    except CommandFailed as error:
        raise StepFailed(f"fetching Debian's packages for {_ARCHITECTURE}", complaints(error.tail), log) from error
    shutil.rmtree(state)


def _own_state(state: Path) -> Path:
    """apt's configuration, in `state`: this machine's sources and keys, and nothing of what is installed on it."""
    for path in (state / "lists/partial", state / "archives/partial"):
        path.mkdir(parents=True)
    (state / "status").touch()
    settings = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
        "APT::Architecture": _ARCHITECTURE,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",  # apt would become a user who cannot write here
        "Acquire::Languages": "none",
    }
    lines = [f'{name} "{value}";' for name, value in settings.items()]
    lines += ["#clear APT::Architectures;", f'APT::Architectures {{ "{_ARCHITECTURE}"; }};']
    (state / "apt.conf").write_text("\n".join(lines) + "\n")
    return state / "apt.conf"


def _pythons(environment: dict[str, str], packages: Sequence[str]) -> list[str]:
    """Those that come with `packages`, by their own packages: "python3.11"."""
    command = ["apt-get", "-q", "--simulate", "install", *packages]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    return _SELECTED.findall(shown)
