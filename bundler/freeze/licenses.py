"""The licences of everything frozen, as one text: every bundle carries it, as they ask.

Knows where packages keep their licences. Refuses to judge them.
"""

from __future__ import annotations

import importlib.metadata
import re
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

_LIBRARIES = """\
This file holds the licences of the software inside the program.

llama.cpp and ggml, where they are in it: MIT licence, Copyright (c) 2023-2026 The ggml authors (the text is
llama-cpp-python's, below).
OpenSSL (libcrypto, libssl): Apache License 2.0 (the text is among those below).
libffi: MIT licence, Copyright (c) 1996-2024 Anthony Green, Red Hat, Inc and others. zlib: zlib licence, Copyright (C)
1995-2024 Jean-loup Gailly and Mark Adler. libuuid: BSD licence, Copyright (C) 1996-2007 Theodore Ts'o.
libstdc++, libgcc, libgomp: GNU GPL version 3 with the GCC Runtime Library Exception 3.1, https://gcc.gnu.org
glibc (the folder glibc/, unchanged from the building system's): GNU LGPL version 2.1 or later, Copyright (C) 1991-2024
Free Software Foundation, Inc. Its sources are at https://ftp.gnu.org/gnu/glibc/ and the system's distributor's. Another
glibc may be put in its place: the folder lies beside the program.
"""

_LGPL = Path("/usr/share/common-licenses/LGPL-2.1")
"""Where Debian and what comes from it keep the text."""

_NAMES = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)


def collect_licenses(folders: Sequence[Path], packages: list[str], of_page: str) -> str:
    """The licences of `packages`, installed in `folders`, of this Python, and those that the page brings."""
    parts = [_LIBRARIES, *_package_licenses(folders, packages), *_python_license(), *_glibc_license(), of_page]
    return _with_terms_once("\n".join(part.rstrip() + "\n" for part in parts))


def package_licenses(folders: Sequence[Path], packages: list[str]) -> str:
    """The licences of `packages` alone, installed in `folders`."""
    return "\n".join(part.rstrip() + "\n" for part in _package_licenses(folders, packages))


_APACHE = re.compile(
    r"TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION.*?END OF TERMS AND CONDITIONS", re.S
)
"""The terms of the Apache License 2.0, which are 9 KB and a package's own words nowhere."""


def _with_terms_once(text: str) -> str:
    """The same with those terms where they come first, and a line in the place of each copy of them."""
    seen: set[str] = set()

    def once(terms: re.Match[str]) -> str:
        words = " ".join(terms[0].split())
        if words in seen:
            return "(the terms of the Apache License 2.0, as they are above in full)"
        seen.add(words)
        return terms[0]

    return _APACHE.sub(once, text)


def _package_licenses(folders: Sequence[Path], packages: list[str]) -> Iterator[str]:
    there = importlib.metadata.distributions(path=list(map(str, folders)))
    found = {each.metadata["Name"].lower(): each for each in there}
    for name in packages:
        distribution = found.get(name) or found.get(name.replace("-", "_"))
        assert distribution is not None, f"{name} was frozen, and is not installed"
        yield _heading(f"{name} {distribution.version}")
        for file in sorted(distribution.files or (), key=str):
            if ".dist-info" in file.parts[0] and _NAMES.search(str(file.relative_to(file.parts[0]))):
                yield Path(str(file.locate())).read_text(encoding="utf-8", errors="replace")


def _python_license() -> Iterator[str]:
    yield _heading("Python")
    for folder in (sysconfig.get_path("stdlib"), "/usr/share/doc/python3"):
        for name in ("LICENSE.txt", "copyright"):
            if (path := Path(folder, name)).is_file():
                yield path.read_text(encoding="utf-8", errors="replace")
                return
    yield "Python Software Foundation License, https://docs.python.org/3/license.html"


def _glibc_license() -> Iterator[str]:
    yield _heading("glibc")
    if _LGPL.is_file():
        yield _LGPL.read_text(encoding="utf-8", errors="replace")
    else:
        yield "GNU Lesser General Public License, version 2.1, https://www.gnu.org/licenses/old-licenses/lgpl-2.1.html"


def _heading(title: str) -> str:
    return f"\n{'=' * 100}\n{title}\n{'=' * 100}"
