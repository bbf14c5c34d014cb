"""The C and C++ compilers for a kind of machine, and the environment in which they compile the same thing every time.

Knows how compilers for other machines than this one are called. Refuses to know what is compiled.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import CompilerMissing
from bundler.freeze.process import clean_environment
from bundler.freeze.sources import tools_first


@dataclass(frozen=True, slots=True)
class Compiler:
    """The C and C++ compilers, as commands, and the line by which the latter names its version."""

    c: str
    cxx: str
    version: str


def find_compiler(machine: str = platform.machine()) -> Compiler:
    """The compilers for `machine`, as `uname -m` has it, which run on this one. Raises CompilerMissing.

    For this machine's own kind those that CC and CXX name, else the system's; for others GNU's, by their names.
    """
    if machine != platform.machine():
        c, cxx = f"{machine}-linux-gnu-gcc", f"{machine}-linux-gnu-g++"
        if shutil.which(cxx) is None:
            raise CompilerMissing(cxx)
        return Compiler(c, cxx, _version_line(cxx))
    cxx = _command("CXX", ("c++", "g++", "clang++"))
    c = _command("CC", ("cc", "gcc", "clang"))
    return Compiler(c, cxx, _version_line(cxx))


def understands(compiler: Compiler, *flags: str) -> bool:
    """Whether it takes `flags`, tried on nothing."""
    argv = [*shlex.split(compiler.cxx), *flags, "-fsyntax-only", "-x", "c++", os.devnull]
    return subprocess.run(argv, capture_output=True, env=clean_environment(), check=False).returncode == 0


def compile_environment(work: Path, compiler: Compiler, cores: int) -> dict[str, str]:
    """What CMake is run in: the tools in `work` first, `cores` jobs at once, no path of this machine in the result."""
    no_paths = shlex.quote(f"-ffile-prefix-map={work}=.")
    return tools_first(work) | {
        "CC": compiler.c,
        "CXX": compiler.cxx,
        "CFLAGS": no_paths,
        "CXXFLAGS": no_paths,
        "CMAKE_GENERATOR": "Ninja",
        "CMAKE_BUILD_PARALLEL_LEVEL": str(cores),
        "SOURCE_DATE_EPOCH": "0",
    }


def _command(variable: str, usual: tuple[str, ...]) -> str:
    named = os.environ.get(variable)
    for command in (named,) if named else usual:
        if shutil.which(shlex.split(command)[0]):
            return command
    raise CompilerMissing(named or usual[0])


def _version_line(command: str) -> str:
    argv = [*shlex.split(command), "--version"]
    shown = subprocess.run(argv, capture_output=True, text=True, env=clean_environment(), check=False)
    return shown.stdout.partition("\n")[0]
