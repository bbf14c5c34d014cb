"""llama-cpp-python for a kind of machine, as a folder to lay beside other packages: its modules, llama.cpp's libraries.

Knows how an installed package looks, and which variants for processors go into one. Refuses to know how they are
compiled (`libraries.py`).

A wheel would hold every library three times (`libllama.so`, `.so.0`, `.so.0.5.0`), because it cannot hold symlinks,
and the CPU backends far from the library that looks for them. Here each is one file, under the name by which others
ask for it, a symlink stands where llama_cpp looks, and the backends lie beside them.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import distributions
from pathlib import Path

from bundler.errors import CompilerMissing
from bundler.freeze.compiler import Compiler, find_compiler
from bundler.freeze.libraries import are_compiled, compiled_libraries
from bundler.freeze.pins import LLAMA, llama_version
from bundler.freeze.variants import all_variants, first_variants
from bundler.progress import SILENCE, Progress
from bundler.store.cache import cached, key_of

_NEEDS_BYTES = 100_000_000  # all libraries of a program: 30 MB
_PACKAGE = "llama_cpp"
_LIBRARIES = f"{_PACKAGE}/lib"
_VARIANT = "libggml-cpu-"


def compiled_package(progress: Progress, machine: str = platform.machine(), *, complete: bool = False) -> Path:
    """The folder of llama-cpp-python for `machine`; what the cache does not have of it is compiled.

    With all variants where it is to be `complete`, or all have been compiled before; else with the first ones. Its name
    changes with what is in it. Raises CompilerMissing, NoSuchPlatform, PackagesUnreachable, StepFailed,
    PythonUnsuitable and CacheError.
    """
    compiler = find_compiler(machine)
    variants = _wanted_variants(compiler, machine, complete)
    parts = compiled_libraries(variants, compiler, machine, progress)
    key = key_of(parts=" ".join(part.name for part in parts))
    return cached("llama", key, partial(_put_together, parts), needs=_NEEDS_BYTES)


def made_package(machine: str, *, complete: bool = False) -> Path | None:
    """The same where nothing is left to compile for it; else None."""
    try:
        compiler = find_compiler(machine)
        variants = _wanted_variants(compiler, machine, complete)
    except CompilerMissing:
        return None
    if not are_compiled(variants, compiler, machine):
        return None
    return compiled_package(SILENCE, machine, complete=complete)


def lay_into(site_packages: Path, package: Path, mtmd: Path) -> None:
    """Install `package`, the folder of `compiled_package`, in place of the one that is there, and that of libmtmd."""
    for there in list(distributions(name=LLAMA, path=[str(site_packages)])):
        files = [Path(str(file.locate())) for file in there.files or ()]
        for file in files:
            file.unlink(missing_ok=True)
        for folder in {file.parent for file in files}:
            with suppress(OSError):  # others have files there, too
                folder.rmdir()
    shutil.copytree(package, site_packages, symlinks=True, dirs_exist_ok=True)
    shutil.copytree(mtmd, site_packages / _LIBRARIES, symlinks=True, dirs_exist_ok=True)
    with (site_packages / _about() / "RECORD").open("a") as record:
        record.writelines(f"{_LIBRARIES}/{library.name},,\n" for library in sorted(mtmd.iterdir()))


def variants_in(folder: Path) -> tuple[str, ...]:
    """The names of the variants whose libraries lie in `folder`, at any depth."""
    return tuple(sorted(path.stem.removeprefix(_VARIANT) for path in folder.rglob(f"{_VARIANT}*.so")))


def _wanted_variants(compiler: Compiler, machine: str, complete: bool) -> tuple[str, ...]:
    every = all_variants(compiler, machine)
    return every if complete or are_compiled(every, compiler, machine) else first_variants(compiler, machine)


def _put_together(parts: Sequence[Path], folder: Path) -> None:
    modules, *libraries = parts
    shutil.copytree(modules / _PACKAGE, folder / _PACKAGE)
    for part in libraries:
        shutil.copytree(part, folder / _LIBRARIES, symlinks=True, dirs_exist_ok=True)
    about = folder / _about()
    (about / "licenses").mkdir(parents=True)
    shutil.copy(modules / "PKG-INFO", about / "METADATA")
    shutil.copy(modules / "LICENSE.md", about / "licenses")
    (about / "INSTALLER").write_text("loaf\n")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    (about / "RECORD").write_text("".join(f"{name},,\n" for name in (*files, f"{about.name}/RECORD")))


def _about() -> str:
    return f"{_PACKAGE}_python-{llama_version()}.dist-info"
