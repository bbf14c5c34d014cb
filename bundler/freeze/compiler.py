"""The machine's C and C++ compilers, and the environment in which they compile the same thing every time.

Refuses to know what is compiled.
"""

from __future__ import annotations

import os
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


def find_compiler() -> Compiler:
    """The compilers that CC and CXX name, else the system's. Raises CompilerMissing."""
    cxx = _command("CXX", ("c++", "g++", "clang++"))
    c = _command("CC", ("cc", "gcc", "clang"))
    return Compiler(c, cxx, _version_line(cxx))


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
