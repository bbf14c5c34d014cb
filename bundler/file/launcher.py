"""Fills in the launcher, the shell script at the start of every bundle (`templates/launcher.sh`).

Knows what the script must be told. Refuses to know what it does with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bundler.paths import templates_dir
from runtime.bundle import ALIGNMENT


@dataclass(frozen=True, slots=True)
class LaunchTarget:
    """A frozen program in the bundle: `offset` and sizes in bytes, `glibc` as MAJOR.MINOR."""

    platform: str
    offset: int
    size: int
    unpacked_size: int
    sha256: str
    glibc: str
    executable: str


# Where the kernel finds the C library's loader, by platform: its absence means that there is no glibc.
# (The ELF interpreter that each architecture's ABI fixes.)
LOADERS = {
    "linux-x86_64": "/lib64/ld-linux-x86-64.so.2",
    "linux-aarch64": "/lib/ld-linux-aarch64.so.1",
}


_OF_A_MODEL = """\
# {title}: a language model in one executable file, made by loaf {version}.
#
#   ./FILE                        serve on http://127.0.0.1:8080 and open the page
#   ./FILE --server --nobrowser   serve only
#   ./FILE -p "..."               answer once
#   ./FILE --help                 everything else
#
# The file is also a ZIP archive: `unzip -l FILE` lists the weights and the rest."""

_OF_THE_BUILDER = """\
# {title}, version {version}: the command that makes language models executable files, in one itself.
#
#   ./FILE build MODEL            write one
#   ./FILE run MODEL              run a model where it lies
#   ./FILE --help                 everything else
#
# The file is also a ZIP archive: `unzip -l FILE` lists the programs in it."""


def render_launcher(
    title: str, version: str, bundle_size: int, targets: Sequence[LaunchTarget], *, builds: bool = False
) -> bytes:
    """The launcher, without what pads it (`runtime/bundle/head.py`). `bundle_size` is the whole file's, in bytes.

    `builds`: what it starts is the `loaf` command, and not a model.
    """
    plain = re.sub(r"[^\w .,:+-]", "_", title, flags=re.ASCII)
    template = (templates_dir() / "launcher.sh").read_text(encoding="utf-8")
    values = {
        "ABOUT": (_OF_THE_BUILDER if builds else _OF_A_MODEL).format(title=plain, version=version),
        "BUNDLE_SIZE": str(bundle_size),
        "RUNTIMES": "\n".join(_case(target) for target in targets),
        "PLATFORMS": ", ".join(_uname(target.platform) for target in targets),
    }
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], template).encode()


def _case(target: LaunchTarget) -> str:
    assert target.offset % ALIGNMENT == 0
    return (
        f'        "{_uname(target.platform)}")\n'
        f"            core_block={target.offset // ALIGNMENT} core_size={target.size}\n"
        f"            core_sha256={target.sha256} key={target.sha256[:16]}\n"
        f"            unpacked_size={target.unpacked_size} glibc={target.glibc}\n"
        f"            loader={LOADERS[target.platform]} program={target.executable} ;;"
    )


def _uname(platform: str) -> str:
    """What `uname -sm` prints on `platform`."""
    system, machine = platform.split("-", 1)
    return f"{system.capitalize()} {machine}"
