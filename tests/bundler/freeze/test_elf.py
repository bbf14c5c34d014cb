"""Room for two paths at the end of a program: it runs as before, and what is written there is heeded."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bundler.freeze.elf import (
    BLOCK,
    LIBRARY_PATH_BLOCKS,
    ROOM,
    Unalterable,
    loader_of,
    with_inherited_path,
    with_room,
)

SAYS = '#include <stdio.h>\nint main(void) { puts("hello"); return 7; }\n'
KINDS = {"fixed": ["-no-pie"], "moved": ["-pie"]}


@pytest.fixture(params=KINDS)
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """With something behind its end, as PyInstaller's archive is, and loaded at a fixed address or at any."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler: apt-get install build-essential")
    (tmp_path / "says.c").write_text(SAYS)
    command = [compiler, *KINDS[request.param], "-o", tmp_path / "says", tmp_path / "says.c"]
    subprocess.run(command, check=True)
    with (tmp_path / "says").open("ab") as file:
        file.write(b"an archive of 33 bytes, at the end")
    return tmp_path / "says"


def test_it_runs_as_before(program: Path) -> None:
    before = program.read_bytes()
    program.write_bytes(with_room(before, "/nowhere"))
    assert program.stat().st_size % BLOCK == 0
    assert program.stat().st_size - len(before) < ROOM + BLOCK
    assert b"an archive of 33 bytes, at the end" in program.read_bytes()
    assert said(program) == (7, "hello\n")


def test_it_looks_where_it_is_told(program: Path, tmp_path: Path) -> None:
    program.write_bytes(with_room(program.read_bytes(), f"{tmp_path}/first:{tmp_path}/second"))
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    searched = subprocess.run([program], env={"LD_DEBUG": "libs"}, capture_output=True, text=True).stderr
    assert searched.index(f"{tmp_path}/first/libc.so.6") < searched.index(f"{tmp_path}/second/libc.so.6")


@pytest.mark.parametrize("folder", ["lib", "long" * 50 + "/" + "path" * 50], ids=["short", "long"])
def test_what_dd_writes_is_the_loader_and_the_first_folder(program: Path, tmp_path: Path, folder: str) -> None:
    """As the launcher does it."""
    program.write_bytes(with_room(program.read_bytes(), "/nowhere"))
    own = tmp_path / folder
    own.mkdir(parents=True)
    loader = shutil.copy(os.path.realpath(loader_of(program.read_bytes())), own / "loader")
    blocks = program.stat().st_size // BLOCK
    for text, block in ((str(own), blocks - 1 - LIBRARY_PATH_BLOCKS), (str(loader), blocks - 1)):
        dd = ["dd", f"of={program}", f"bs={BLOCK}", f"seek={block}", "conv=notrunc"]
        subprocess.run(dd, input=text.encode() + b"\0", check=True, capture_output=True)
    assert loader_of(program.read_bytes()) == str(loader)
    assert said(program) == (7, "hello\n")
    searched = subprocess.run([program], env={"LD_DEBUG": "libs"}, capture_output=True, text=True).stderr
    assert f"{own}/libc.so.6" in searched
    Path(loader).unlink()
    with pytest.raises(FileNotFoundError):
        said(program)


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01", b"\x7fELF\x02\x02"])
def test_what_is_no_such_program(content: bytes) -> None:
    with pytest.raises(Unalterable, match="no ELF file of a 64-bit, little-endian machine"):
        with_room(content.ljust(64, b"\0") if content else content, "/nowhere")


def test_room_is_made_once(program: Path) -> None:
    with pytest.raises(Unalterable):
        with_room(with_room(program.read_bytes(), "/nowhere"), "/nowhere")


@pytest.mark.parametrize("tag", ["--enable-new-dtags", "--disable-new-dtags"])
@pytest.mark.parametrize(
    ("path", "remains"), [("/of/this/machine", ""), ("$ORIGIN", "$ORIGIN"), ("$ORIGIN/../x", "$ORIGIN/../x"), ("", "")]
)
def test_a_library_looks_where_the_program_does(tmp_path: Path, path: str, remains: str, tag: str) -> None:
    """So no DT_RUNPATH is left in it, which would keep it from that, and no folder of this machine."""
    library = compiled(tmp_path, tmp_path / "library.so", path, tag)
    changed = tmp_path / "changed.so"
    changed.write_bytes(with_inherited_path(library.read_bytes()))
    dynamic = subprocess.run(["readelf", "-dW", changed], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"\((R\w*PATH)\).*\[(.*)\]", dynamic) == ([("RPATH", remains)] if remains else [])
    assert "libm.so.6" in dynamic
    assert ctypes.CDLL(str(changed)).root(9) == 3
    assert with_inherited_path(changed.read_bytes()) == changed.read_bytes()


@pytest.mark.parametrize("content", [b"", b"text", b"\x7fELF\x01\x01".ljust(64, b"\0")])
def test_what_is_no_library_stays_as_it_is(content: bytes) -> None:
    assert with_inherited_path(content) == content


def compiled(folder: Path, library: Path, path: str, tag: str) -> Path:
    """A library that needs libm, with this path in it."""
    source = folder / "root.c"
    source.write_text("#include <math.h>\nint root(int x) { return (int) sqrt((double) x); }\n")
    options = ["-shared", "-fPIC", "-Wl,--no-as-needed", f"-Wl,{tag}", *([f"-Wl,-rpath,{path}"] if path else [])]
    subprocess.run(["cc", *options, "-o", library, source, "-lm"], check=True)
    return library


def said(program: Path) -> tuple[int, str]:
    run = subprocess.run([program], capture_output=True, text=True)
    return run.returncode, run.stdout
