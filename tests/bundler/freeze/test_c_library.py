"""A frozen folder, with the C library of this machine put into it."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from bundler.errors import FrozenFileUnsuitable
from bundler.freeze.c_library import FOLDER, add_c_library, c_library_of_this_machine
from bundler.freeze.elf import loader_of


@pytest.fixture
def core(tmp_path: Path) -> Path:
    """A folder with a program, a library that looks for others in a folder of this machine, and a text."""
    (tmp_path / "core/_internal").mkdir(parents=True)
    for name, options in (
        ("loaf-runtime", []),
        ("_internal/x.so", ["-shared", "-fPIC", "-Wl,-rpath,/of/this/machine"]),
    ):
        source = b"int main(void) { return 7; }"
        subprocess.run(["cc", "-x", "c", "-", *options, "-o", tmp_path / "core" / name], input=source, check=True)
    (tmp_path / "core/_internal/text").write_text("text")
    return tmp_path / "core"


def test_all_of_it_is_there(core: Path) -> None:
    add_c_library(core, "loaf-runtime", c_library_of_this_machine())
    names = {path.name for path in (core / FOLDER).iterdir()}
    loader = Path(loader_of((core / "loaf-runtime").read_bytes())).name
    assert {"libc.so.6", "libm.so.6", "libresolv.so.2", loader} <= names
    shown = subprocess.run([core / FOLDER / loader, "--list", core / "loaf-runtime"], capture_output=True, text=True)
    assert "libc.so.6" in shown.stdout
    assert f"GLIBC {platform.libc_ver()[1]}".encode() in (core / FOLDER / "libc.so.6").read_bytes()
    assert subprocess.run([core / "loaf-runtime"]).returncode == 7
    assert (core / "_internal/text").read_text() == "text"
    dynamic = subprocess.run(["readelf", "-dW", core / "_internal/x.so"], capture_output=True, text=True).stdout
    assert "/of/this/machine" not in dynamic
    assert c_library_of_this_machine().key() == c_library_of_this_machine().key() != ""


def test_a_program_of_another_kind_is_named(core: Path) -> None:
    (core / "loaf-runtime").write_text("#!/bin/sh\n")
    with pytest.raises(FrozenFileUnsuitable, match="loaf-runtime cannot be frozen: it is no ELF file"):
        add_c_library(core, "loaf-runtime", c_library_of_this_machine())
