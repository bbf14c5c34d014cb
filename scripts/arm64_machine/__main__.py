"""`scripts/arm64-machine`: tests of an installed loaf, run by an arm64 Python on an arm64 Debian."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from emulation import emulator, run_there
from system import STATIC_BUSYBOX, system_folder

from bundler.paths import PROGRAMS
from bundler.programs import MadeHere
from bundler.programs.holding import write_programs
from bundler.progress import progress_for
from runtime.exits import errors_as_exit_codes

ROOT = Path(__file__).parents[2]
_TAKEN = ("bundler", "runtime", "templates", "tests", "pyproject.toml", "README.md")
_LOAF = '#!/bin/sh\nPYTHONPATH=/loaf:$PYTHONPATH exec python3 -m bundler.cli "$@"\n'


def main(arguments: list[str]) -> int:
    """The tests' exit code."""
    program, progress = emulator(), progress_for()
    with tempfile.TemporaryDirectory(prefix="loaf-arm64-") as name:
        machine = Path(name) / "machine"
        shutil.copytree(system_folder(progress), machine, symlinks=True)
        _install(machine)
        write_programs(machine / "loaf/bundler" / PROGRAMS, MadeHere(progress), (), progress)
        command = ["python3", "-m", "pytest", "-rs", "-n", "0", "-p", "no:cacheprovider", *arguments]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        environment["PYTHONPATH"] = "/packages"
        return run_there(machine, program, command, folder="/loaf", environment=environment)


def _install(machine: Path) -> None:
    for name in _TAKEN:
        source, target = ROOT / name, machine / "loaf" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copyfile(source, target)
    fetched = machine / "root/.cache/loaf-build/busybox/static/bin"  # where tests keep what they fetch
    fetched.mkdir(parents=True)
    shutil.copy(machine / STATIC_BUSYBOX, fetched / "busybox")
    command = machine / "usr/bin/loaf"
    command.write_text(_LOAF)
    command.chmod(0o755)


if __name__ == "__main__":
    with errors_as_exit_codes():
        sys.exit(main(sys.argv[1:] or ["tests/launcher"]))
