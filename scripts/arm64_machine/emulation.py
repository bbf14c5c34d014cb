"""Namespaces in which the kernel has qemu run arm64's programs, without root and without a trace on this machine.

Knows binfmt_misc. Refuses to know what is run.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from runtime.errors import LoafError

_EMULATOR = "qemu-aarch64-static"
_SETTING_UP = """
set -e
mount -t binfmt_misc none "$0/proc"
printf %s "$1" > "$0/proc/register"
mount --rbind /dev "$0/dev"
mount --rbind /sys "$0/sys"
mount -t tmpfs none "$0/tmp"
cd "$0"
folder=$2
shift 2
exec chroot . /bin/sh -c 'mount -t proc proc /proc; cd "$0" && exec "$@"' "$folder" "$@"
"""
_MAGIC = r":aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
"""An ELF file of 64 bits, little endian, a program or a library, for EM_AARCH64 (183): the kernel's own documentation
of binfmt_misc has the form."""


def emulator() -> Path:
    """One that needs nothing of the system that it runs in. Raises `LoafError`."""
    found = shutil.which(_EMULATOR)
    if found is None:
        raise LoafError(f"{_EMULATOR} is missing", "Debian: apt install qemu-user-static")
    return Path(found)


def in_it(machine: Path, program: Path, command: Sequence[str], *, folder: str) -> list[str]:
    """`command`, run in `folder` of the root folder `machine`, which is changed by it."""
    # P: the program is told its own name; F: the emulator is opened now, outside of the root folder.
    kind = f"{_MAGIC}{_MASK}:{program}:PF"
    return ["unshare", "-Urmpf", "--kill-child", "sh", "-c", _SETTING_UP, str(machine), kind, folder, *command]
