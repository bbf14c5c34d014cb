"""What of llama.cpp is compiled: piece by piece, each once, and going on where a run was interrupted."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path

import pytest

from bundler.errors import StepFailed
from bundler.freeze import cmake as making
from bundler.freeze import libraries, llama, mtmd
from bundler.freeze.compiler import Compiler
from bundler.freeze.contents import frozen_packages
from bundler.freeze.licenses import collect_licenses
from bundler.freeze.pins import LLAMA, llama_version
from bundler.freeze.process import CommandFailed
from bundler.freeze.variants import all_variants, describe_variants, first_variants
from bundler.progress import SilentProgress
from bundler.store.cache import build_cache
from runtime.machine.variants import KINDS, family_of

pytestmark = pytest.mark.usefixtures("cache_folder")

GCC = Compiler("cc", "c++", "c++ 12.2.0")
SOURCES = {
    "llama_cpp/llama_cpp.py": "# the binding\n",
    "llama_cpp/lib/.gitkeep": "",
    "PKG-INFO": f"Metadata-Version: 2.4\nName: llama_cpp_python\nVersion: {llama_version()}\nLicense: MIT\n",
    "LICENSE.md": "MIT\n",
}


class Cmake:
    """In place of CMake: makes the libraries that it is told to, in order, and fails at the one that `breaks` it."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.configured: list[Sequence[str | Path]] = []
        self.breaks = ""

    def __call__(self, argv: Sequence[str | Path], **_options: object) -> None:
        if "--target" not in argv:
            self.configured.append(argv)
            return
        build = Path(argv[2])
        (build / "bin").mkdir(parents=True, exist_ok=True)
        for target in map(str, argv[argv.index("--target") + 1 :]):
            if target == self.breaks:
                raise CommandFailed(["cmake"], 1, ["error: interrupted"])
            if not (build / "bin" / f"lib{target}.so").exists():
                self._make(build / "bin", target)

    def _make(self, folder: Path, target: str) -> None:
        self.made.append(target)
        plain = folder / f"lib{target}.so"
        if target.startswith(("ggml-cpu-", "ggml-rpc")):
            plain.write_text(target)
            return
        (folder / f"{plain.name}.0.5.0").write_text(target)
        (folder / f"{plain.name}.0").symlink_to(f"{plain.name}.0.5.0")
        plain.symlink_to(f"{plain.name}.0")


@pytest.fixture
def cmake(monkeypatch: pytest.MonkeyPatch) -> Cmake:
    cmake = Cmake()

    def prepared(work: Path, *_arguments: object) -> Path:
        source = work / "source" / "llama_cpp_python"
        for name, text in SOURCES.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
        return source

    monkeypatch.setattr(making, "run", cmake)
    for module in (libraries, mtmd):
        monkeypatch.setattr(module, "prepared_sources", prepared)
        monkeypatch.setattr(module, "_NEEDS_BYTES", 0)
    for module in (llama, mtmd):
        monkeypatch.setattr(module, "find_compiler", lambda _machine: GCC)
    monkeypatch.setattr(llama, "first_variants", lambda _compiler, _machine: ("x64", "haswell"))
    return cmake


def package(*, complete: bool = False) -> Path:
    return llama.compiled_package(SilentProgress(), "x86_64", complete=complete)


def seeing() -> Path:
    return mtmd.compiled_mtmd(SilentProgress(), "x86_64")


ALWAYS = ["ggml", "ggml-base", "ggml-rpc", "llama"]


def test_first_those_that_matter_here_then_only_what_is_missing(cmake: Cmake) -> None:
    first = package()
    assert cmake.made == [*ALWAYS, "ggml-cpu-x64", "ggml-cpu-haswell"]
    assert (package(), len(cmake.made)) == (first, 6)
    assert llama.variants_in(first) == ("haswell", "x64")
    whole = package(complete=True)
    assert sorted(cmake.made[6:]) == sorted(f"ggml-cpu-{name}" for name in ALL if name not in ("x64", "haswell"))
    assert set(llama.variants_in(whole)) == set(ALL)
    assert package() == whole, "what is complete already is not taken in part"
    assert not list((build_cache() / "compile").glob("*/")), "nothing is left of the work"


ALL = tuple(family_of("x86_64").variants)


def test_who_is_interrupted_goes_on_where_they_were(cmake: Cmake) -> None:
    cmake.breaks = "llama"
    with pytest.raises(StepFailed, match="interrupted"):
        package()
    assert cmake.made == ALWAYS[:-1]
    assert llama.made_package("x86_64") is None
    cmake.breaks = ""
    assert package() == llama.made_package("x86_64")
    assert cmake.made == [*ALWAYS, "ggml-cpu-x64", "ggml-cpu-haswell"], "each once"


def test_what_sees_is_compiled_when_it_is_wanted_and_the_rest_not_again(cmake: Cmake) -> None:
    program = package()
    cmake.made.clear()
    folder = mtmd.compiled_mtmd(SilentProgress(), "x86_64")
    assert cmake.made == ["mtmd"]
    assert {path.name: path.is_symlink() for path in folder.iterdir()} == {"libmtmd.so": True, "libmtmd.so.0": False}
    assert not list(program.rglob("libmtmd*"))
    parts = libraries.compiled_libraries((), GCC, "x86_64", SilentProgress())
    assert {f"-DGGML_LIBRARIES={parts[1]}", f"-DLLAMA_LIBRARIES={parts[2]}"} <= set(map(str, cmake.configured[-1]))
    assert (parts[1] / "libggml-base.so").exists()
    assert (parts[2] / "libllama.so").exists()
    assert mtmd.compiled_mtmd(SilentProgress(), "x86_64") == folder
    assert cmake.made == ["mtmd"]


def test_without_a_program_what_that_takes_is_compiled_first(cmake: Cmake) -> None:
    mtmd.compiled_mtmd(SilentProgress(), "x86_64")
    assert cmake.made == [*ALWAYS, "mtmd"]


def test_it_is_installed_as_a_package_is(cmake: Cmake, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    for _ in range(2):
        llama.lay_into(site, package(complete=bool(cmake.made)), seeing())
    found = next(distributions(name=LLAMA, path=[str(site)]))
    assert found.version == llama_version()
    assert all(Path(str(file.locate())).exists() for file in found.files or ())
    lib = site / "llama_cpp" / "lib"
    assert (lib / "libllama.so").readlink() == Path("libllama.so.0")
    assert {path.name for path in lib.iterdir() if not path.is_symlink()} == {
        *("libggml.so.0", "libggml-base.so.0", "libggml-rpc.so", "libllama.so.0", "libmtmd.so.0"),
        *(f"libggml-cpu-{name}.so" for name in ALL),
    }
    (software,) = (one for one in frozen_packages([site]) if one.name == LLAMA)
    assert software.license == "MIT"
    assert "MIT\n" in collect_licenses([site], [LLAMA], "").partition(f"{LLAMA} {llama_version()}")[2]


def test_the_same_terms_are_told_once(tmp_path: Path) -> None:
    """Notices before and behind them stay, and so do terms that are not quite the same."""
    terms = (
        "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION\n\n1. Definitions.\nEND OF TERMS AND CONDITIONS"
    )
    texts = {"a": terms, "b": terms.replace("\n", "\n   "), "c": terms.replace("1.", "2.")}
    for name, text in texts.items():
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (folder / "LICENSE").write_text(f"{text}\n\nCopyright of {name}\n")
        (folder / "RECORD").write_text(f"{name}-1.dist-info/LICENSE,,\n")
    together = collect_licenses([tmp_path], [*texts], "")
    assert [together.count(text) for text in (terms, texts["b"], texts["c"])] == [1, 0, 1]
    assert together.count("as they are above in full") == 1
    assert all(f"Copyright of {name}" in together for name in texts)


def test_another_one_takes_the_place_of_all_files_of_the_last(cmake: Cmake, tmp_path: Path) -> None:  # noqa: ARG001
    site = tmp_path / "site-packages"
    old = site / "bin" / "libggml-cpu-x64.so"
    old.parent.mkdir(parents=True)
    old.touch()
    about = site / "llama_cpp_python-0.0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: llama_cpp_python\nVersion: 0.0.1\n")
    (about / "RECORD").write_text(f"bin/{old.name},,\n{about.name}/METADATA,,\n{about.name}/RECORD,,\n")
    llama.lay_into(site, package(), seeing())
    assert not old.exists()
    assert [one.version for one in distributions(name=LLAMA, path=[str(site)])] == [llama_version()]


@pytest.mark.parametrize("machine", KINDS)
def test_the_first_ones_run_everywhere_and_are_few(machine: str) -> None:
    every, first = all_variants(GCC, machine), first_variants(GCC, machine)
    assert first[0] == every[0]
    assert family_of(machine).variants[first[0]] == (), "it asks nothing of a processor"
    assert {*family_of(machine).usual} < {*first} <= {*every}
    assert len(first) <= 3
    assert first == tuple(name for name in every if name in first), "always in the same order"


def test_this_machine_s_own_is_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    newest = frozenset(flag for flags in family_of("x86_64").features.values() for flag in flags) - {"amx_int8"}
    monkeypatch.setattr("runtime.machine.processor.read_processor", lambda: ("", newest))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert first_variants(GCC, "x86_64") == ("x64", "haswell", "zen4")
    assert first_variants(GCC, "aarch64") == ("armv8.0_1", "armv8.2_2"), "of another kind nobody knows"


def test_they_are_named_with_what_they_use() -> None:
    assert describe_variants("linux-x86_64", ["haswell", "x64"]) == (
        "x64 (any processor), haswell (AVX2); 2 of 14 variants"
    )
    assert describe_variants("linux-x86_64", ALL) == (
        "all 14 variants, from x64 (any processor) to sapphirerapids (AMX INT8)"
    )


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="for one kind of machine is enough")
def test_a_kind_of_machine_that_nobody_knows() -> None:
    with pytest.raises(Exception, match="programs for linux-riscv64 are not made here"):
        all_variants(GCC, "riscv64")
