"""What software is in a frozen runtime, in which version, under which licence.

Knows how packages state their licences, and what is in the runtime besides packages. Refuses to judge licences; their
texts are collected in `licenses.py`.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.freeze.pins import LLAMA_CPP_COMMIT, Extra, pins
from bundler.freeze.process import clean_environment

_SPDX = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
"""A licence expression without parentheses: none of ours has them."""

_IN_SPDX = {
    "Apache 2.0": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: GNU General Public License v2 (GPLv2)": "GPL-2.0-or-later WITH Bootloader-exception",
}
"""What packages of ours say in words of their own: aiosignal; soundfile; Jinja2, whose licence has three clauses;
PyInstaller."""


@dataclass(frozen=True, slots=True)
class Software:
    """As `runtime.bundle.Package`, for a Python that has no msgspec yet (scripts/setup)."""

    name: str
    version: str
    license: str


def frozen_packages(folders: Sequence[Path], extra: Extra = "runtime") -> tuple[Software, ...]:
    """The packages in `folders` that end up in the program that `extra` is frozen into, by their names."""
    named = {_normal(pin.partition("==")[0]) for pin in pins(extra)} | {"pyinstaller"}
    found = importlib.metadata.distributions(path=list(map(str, folders)))
    packages = {_normal(each.metadata["Name"]): each for each in found}
    return tuple(
        Software(name, packages[name].version, _license(packages[name])) for name in sorted(named & {*packages})
    )


@dataclass(frozen=True, slots=True)
class Versions:
    """Of the Python that is frozen, and of what it is linked with: "3.11.2", "3.0.22", "2.36", "1.2.13"."""

    python: str
    openssl: str
    glibc: str
    zlib: str


def versions_of(python: Sequence[str | Path]) -> Versions:
    """What the Python that the command `python` runs says of itself."""
    told = subprocess.run([*python, "-c", _TELL], stdout=subprocess.PIPE, env=clean_environment(), check=True)
    return Versions(**json.loads(told.stdout))


_TELL = """
import json, os, platform, ssl, zlib
print(json.dumps({
    "python": platform.python_version(),
    "openssl": ssl.OPENSSL_VERSION.split()[1],
    "glibc": os.confstr("CS_GNU_LIBC_VERSION").split()[1],
    "zlib": zlib.ZLIB_RUNTIME_VERSION,
}))
"""


def frozen_libraries(versions: Versions) -> tuple[Software, ...]:
    """What the runtime holds besides: Python, llama.cpp, and what both are linked with."""
    return (Software("llama.cpp", LLAMA_CPP_COMMIT, "MIT"), *python_libraries(versions))


def python_libraries(versions: Versions) -> tuple[Software, ...]:
    """Python, and what it and its packages are linked with."""
    return (
        Software("Python", versions.python, "PSF-2.0"),
        Software("OpenSSL", versions.openssl, "Apache-2.0"),
        Software("glibc", versions.glibc, "LGPL-2.1-or-later"),
        Software("zlib", versions.zlib, "Zlib"),
        Software("libffi", "", "MIT"),
        Software("libuuid", "", "BSD-3-Clause"),
        *(Software(name, "", "GPL-3.0-or-later WITH GCC-exception-3.1") for name in ("libstdc++", "libgcc", "libgomp")),
    )


def _license(distribution: importlib.metadata.Distribution) -> str:
    """As an SPDX expression where it can be had."""
    metadata = distribution.metadata
    said = next((str(metadata[key]) for key in ("License-Expression", "License") if key in metadata), "")
    classifiers = [str(line) for line in metadata.get_all("Classifier") or [] if str(line).startswith("License ::")]
    for text in (said, *classifiers):
        if text in _IN_SPDX or _SPDX.fullmatch(text):
            return _IN_SPDX.get(text, text)
    return said or ", ".join(classifiers)


def _normal(name: str) -> str:
    """A package's name as the index spells it: metadata may say `Jinja2` and `typing_extensions`."""
    return name.lower().replace("_", "-").replace(".", "-")
