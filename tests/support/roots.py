"""Other systems, as root folders to run a bundle in: without a C library, with musl's, with Debian 11's old one.

Each has nothing of this machine but its kernel and what a test gives it. Debian 11 is fetched once and kept in the
build cache.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.store.cache import cached, is_cached, key_of

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
FOLDERS = ("bin", "dev", "etc", "lib", "proc", "root", "sys", "tmp", "usr")
KERNEL = ("proc", "dev")
"""What every system mounts. A test may leave some of it out."""

DRIVERS = (f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/share/vulkan", "/usr/share/drirc.d")
"""Where this system has drivers, and what they need; its C library's loader is elsewhere."""

_DEBIAN_11 = ("bullseye", "libvulkan1,mesa-vulkan-drivers")
_NEEDS_BYTES = 1_000_000_000
_BUSYBOX_BYTES = 10_000_000


def shown(folders: tuple[str, ...]) -> str:
    """For `before`: folders of this system, as far as it has them, in their places in a root."""
    return "; ".join(
        f"mkdir -p .{folder}; mount --rbind {folder} .{folder}" for folder in folders if Path(folder).is_dir()
    )


@dataclass(frozen=True)
class Root:
    """A root folder with the demo bundle in it, as /demo.loaf."""

    path: Path
    mounts: tuple[str, ...] = KERNEL
    user: int = 0

    def command(self, *command: str, before: str = ":") -> list[str]:
        """`command` in this root, by a process that becomes it. `before` is run with the mounts, outside of it."""
        mounts = "".join(f"mount --rbind /{name} {name}; " for name in self.mounts)
        chroot = "chroot" if self.user == 0 else f"chroot --userspec={self.user}:{self.user}"
        script = f'set -e; cd "$0"; {mounts}{before}; exec {chroot} . "$@"'
        return ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", script, str(self.path), *command]

    def run(
        self, *command: str, before: str = ":", timeout: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """What `command` says there."""
        return subprocess.run(
            self.command(*command, before=before),
            env=ENVIRONMENT | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def program(self, *command: str, before: str = ":") -> Path:
        """A file outside that runs `command` in this root, with the arguments that it is given."""
        file = self.path.with_name(f"in-{self.path.name}")
        file.write_text(f'#!/bin/sh\nexec {shlex.join(self.command(*command, before=before))} "$@"\n')
        file.chmod(0o755)
        return file


def empty_root(path: Path, bundle: Path) -> Root:
    """Nothing but a busybox that needs nothing."""
    busybox = _static_busybox()
    _needs_mounts()
    for folder in FOLDERS:
        (path / folder).mkdir(parents=True)
    shutil.copy(busybox, path / "bin/busybox")
    for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            (path / "bin" / applet).symlink_to("busybox")
    return _with_bundle(path, bundle)


def musl_root(path: Path, bundle: Path) -> Root:
    """The same with musl, its loader under both names that it has where programs for glibc are helped along."""
    loader = Path("/lib/ld-musl-x86_64.so.1")
    if not loader.exists():
        pytest.skip("needs musl, on x86-64: apt-get install musl musl-tools")
    root = empty_root(path, bundle)
    shutil.copy(loader.resolve(), path / "lib" / loader.name)
    (path / "lib64").mkdir()
    (path / "lib64/ld-linux-x86-64.so.2").symlink_to(f"/lib/{loader.name}")
    return root


def debian_11(path: Path, bundle: Path) -> Root:
    """Debian 11, with glibc 2.31 and Mesa's software device for Vulkan, in a copy of its own."""
    _needs_mounts()
    entry = cached(
        "root", key_of(**dict(zip(("suite", "packages"), _DEBIAN_11, strict=True))), _bootstrap, needs=_NEEDS_BYTES
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", entry / "root", path], check=True)
    return _with_bundle(path, bundle)


def needs_root() -> None:
    """Skips a test that has to be two users, or to listen where only root may."""
    if os.geteuid():
        pytest.skip("needs root: run the tests with sudo")


def _bootstrap(folder: Path) -> None:
    """By debootstrap, from the mirror that this machine's own packages come from."""
    if os.geteuid() or shutil.which("debootstrap") is None:
        pytest.skip("needs root and debootstrap: apt-get install debootstrap")
    suite, packages = _DEBIAN_11
    options = ["--variant=minbase", f"--include={packages}", suite, str(folder / "root"), _mirror()]
    # What it mounts goes with it, even where it is killed: the cache deletes what is left of a folder.
    subprocess.run(["unshare", "-m", "debootstrap", *options], check=True, capture_output=True, timeout=1200)
    shutil.rmtree(folder / "root/var/cache/apt")


def _mirror() -> str:
    listed = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()[0]


def _with_bundle(path: Path, bundle: Path) -> Root:
    try:
        os.link(bundle, path / "demo.loaf")
    except OSError:
        shutil.copy(bundle, path / "demo.loaf")
    return Root(path)


def _static_busybox() -> Path:
    """Debian's, which is fetched and not installed: it would take the place of the other busybox."""
    if shutil.which("apt-get") is None and not is_cached("busybox", "static"):
        pytest.skip("needs Debian's package busybox-static, which apt-get fetches")
    return cached("busybox", "static", _fetch_busybox, needs=_BUSYBOX_BYTES) / "bin/busybox"


def _fetch_busybox(folder: Path) -> None:
    subprocess.run(["apt-get", "download", "-q", "busybox-static"], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg", "-x", package, folder], check=True)


def _needs_mounts() -> None:
    if subprocess.run(["unshare", "-m" if os.geteuid() == 0 else "-rm", "true"], capture_output=True).returncode:
        pytest.skip("a root folder needs root or user namespaces: sysctl -w kernel.unprivileged_userns_clone=1")
