"""Namespaces in which the kernel has qemu run arm64's programs, without a trace on this machine.

Knows binfmt_misc. Refuses to know what is run.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtime.errors import LoafError

_EMULATOR = "qemu-aarch64-static"
_ALL = "0 0 65536\n"
"""Users and groups: tests make files of several."""

_FIRST = 'kill -STOP $$; exec unshare -mpf --kill-child sh -c "$@"'
_SETTING_UP = """
set -e
mount --rbind "$0" "$0"
cd "$0"
mkdir run/binfmt run/before
mount -t binfmt_misc none run/binfmt
printf %s "$1" > run/binfmt/register
mount --rbind /dev dev
mount --rbind /sys sys
mount -t tmpfs none tmp
folder=$2
shift 2
pivot_root . run/before
mount -t proc proc /proc
umount -l /run/before
cd "$folder"
exec "$@"
"""
"""What is registered is forgotten where it is not mounted any more. In the place of the root folder, not below it:
whoever is below one may have no user namespaces, as some tests do."""

_MAGIC = r":aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
"""An ELF file of 64 bits, little endian, a program or a library, for EM_AARCH64 (183): the kernel's own documentation
of binfmt_misc has the form."""


def emulator() -> Path:
    """One that needs nothing of the system that it runs in. Raises `LoafError`."""
    if os.geteuid():
        raise LoafError("files of several users are made", "Run it as root.")
    found = shutil.which(_EMULATOR)
    if found is None:
        raise LoafError(f"{_EMULATOR} is missing", "Debian: apt install qemu-user-static")
    return Path(found)


def run_there(
    machine: Path, program: Path, command: Sequence[str], *, folder: str, environment: Mapping[str, str]
) -> int:
    """The exit code of `command`, run in `folder` of the root folder `machine`, which is changed by it."""
    # P: the program is told its own name; F: the emulator is opened now, outside of the root folder.
    kind = f"{_MAGIC}{_MASK}:{program}:PF"
    setting_up = [_SETTING_UP, str(machine), kind, folder, *command]
    with subprocess.Popen(["unshare", "-U", "sh", "-c", _FIRST, "sh", *setting_up], env=environment) as process:
        os.waitpid(process.pid, os.WUNTRACED)  # it has stopped, in namespaces in which nobody is anybody yet
        for kinds in ("uid_map", "gid_map"):
            Path(f"/proc/{process.pid}/{kinds}").write_text(_ALL)
        process.send_signal(signal.SIGCONT)
        return process.wait()
