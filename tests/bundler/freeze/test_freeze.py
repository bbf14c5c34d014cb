"""Making the runtime: what it depends on, the packing, and what is said when something is missing."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bundler.errors import CompilerMissing, PackagesUnreachable, StepFailed
from bundler.freeze import compiler, libraries, ninja, packages, pins, pipeline
from bundler.freeze.c_library import c_library_of_this_machine
from bundler.freeze.corrections import CORRECTIONS, correct
from bundler.freeze.pack import needed_glibc, pack, unpacked_size
from bundler.freeze.pins import Frozen
from bundler.freeze.platforms.native import Native
from bundler.freeze.platforms.platform import Installed
from bundler.freeze.process import CommandFailed, clean_environment, run
from bundler.progress import SILENCE, Progress, SilentProgress
from support.places import ROOT
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("cache_folder")


class TestCorrections:
    @pytest.fixture
    def sources(self, tmp_path: Path) -> Path:
        """llama.cpp, as far as it is corrected."""
        for file in {correction.file for correction in CORRECTIONS}:
            path = tmp_path / "llama.cpp" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"before\n{one.old}after\n" for one in CORRECTIONS if one.file == file))
        return tmp_path / "llama.cpp"

    def test_change_what_they_name_and_nothing_else(self, sources: Path, tmp_path: Path) -> None:
        correct(sources, tmp_path / "log")
        for file in {correction.file for correction in CORRECTIONS}:
            expected = "".join(f"before\n{one.new}after\n" for one in CORRECTIONS if one.file == file)
            assert (sources / file).read_text() == expected

    @pytest.mark.parametrize("text", [None, "", "{old}{old}"], ids=["no file", "not there", "twice"])
    def test_a_version_that_is_another_is_not_compiled(self, sources: Path, tmp_path: Path, text: str | None) -> None:
        first = CORRECTIONS[0]
        file = sources / first.file
        file.unlink() if text is None else file.write_text(text.format(old=first.old))
        with pytest.raises(StepFailed, match=f"{first.file} is not as corrections.py expects it"):
            correct(sources, tmp_path / "log")


class TestKeys:
    @pytest.mark.parametrize("field", ["c", "cxx", "version"])
    def test_the_libraries_depend_on_the_compiler(self, field: str) -> None:
        fields = {"c": "cc", "cxx": "c++", "version": "c++ 12.2.0"}
        other = fields | {field: "another"}
        assert libraries.libraries_key(compiler.Compiler(**fields)) != libraries.libraries_key(
            compiler.Compiler(**other)
        )

    def test_the_libraries_depend_on_the_flags(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = compiler.Compiler("cc", "c++", "c++ 12.2.0")
        before = libraries.libraries_key(found)
        monkeypatch.setattr(libraries, "RECIPE", libraries.RECIPE + " -DGGML_CUDA=ON")
        assert libraries.libraries_key(found) != before

    def test_what_is_corrected_for_variants_alone_has_nothing_else_compiled(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = compiler.Compiler("cc", "c++", "c++ 12.2.0")
        asked_for: list[tuple[str, ...]] = []
        monkeypatch.setattr(libraries, "_compile", lambda missing, *_rest: asked_for.append(tuple(missing)))
        for part in libraries.compiled_libraries(["haswell"], found, "x86_64", SILENCE):
            part.mkdir(parents=True)
        monkeypatch.setattr(libraries, "_FOR_VARIANTS", libraries._FOR_VARIANTS + " and more")
        libraries.compiled_libraries(["haswell"], found, "x86_64", SILENCE)
        monkeypatch.setattr(libraries, "RECIPE", libraries.RECIPE + " and more")
        libraries.compiled_libraries(["haswell"], found, "x86_64", SILENCE)
        everything = ("python", "ggml", "llama", "cpu-haswell")
        assert asked_for == [everything, ("cpu-haswell",), everything]

    def test_the_runtime_depends_on_each_of_its_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        source = tmp_path / "runtime"
        (source / "web").mkdir(parents=True)
        (source / "__main__.py").write_text("print(1)")
        monkeypatch.setattr(pipeline, "runtime_dir", lambda: source)
        before = pipeline.runtime_key(Native(), Path("llama/0123"))
        (source / "__pycache__").mkdir()
        (source / "__pycache__" / "main.pyc").write_bytes(b"compiled")
        assert pipeline.runtime_key(Native(), Path("llama/0123")) == before
        (source / "web" / "index.html").write_text("<p>")
        assert pipeline.runtime_key(Native(), Path("llama/0123")) != before
        assert pipeline.runtime_key(Native(), Path("llama/4567")) != before


class Prepared(Native):
    """This machine, with packages that nobody had to make."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def compiled_package(self, _progress: Progress, *, complete: bool = False) -> Path:  # noqa: ARG002
        return self._folder

    def package_made(self, *, complete: bool = False) -> Path:  # noqa: ARG002
        return self._folder

    def install(self, _frozen: Frozen, _progress: Progress) -> None:
        pass

    def installed(self, _frozen: Frozen, _progress: Progress, *_compiled: Path) -> Installed:
        return Installed((self._folder,), c_library_of_this_machine(), lambda *_folders: [sys.executable])


class TestRuntime:
    def test_its_program_is_unpacked_before_anyone_asks_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_folder: Path
    ) -> None:
        def freeze(_python: list[Path], _page: Path | None, work: Path, _log: Path, _progress: Progress) -> Path:
            _some_files(work / "core", ("loaf-runtime",))
            return work / "core"

        steps: dict[str, Callable[..., object]] = {
            "this_platform": lambda: Prepared(tmp_path),
            "runtime_key": lambda _platform, _wheel: "key",
            "built_page": lambda _progress: None,
            "freeze": freeze,
            "add_c_library": lambda _core, _program, _library: None,
            "frozen_packages": lambda _packages: (),
            "frozen_libraries": lambda _versions: (),
        }
        for name, step in steps.items():
            monkeypatch.setattr(pipeline, name, step)
        runtime = pipeline.freeze_runtime(SilentProgress())
        assert runtime == pipeline.freeze_runtime(SilentProgress())
        program = cache_folder / "program" / runtime.sha256[:16] / runtime.executable
        assert program.read_text() == "loaf-runtime"
        assert sorted(path.name for path in runtime.archive.parent.iterdir()) == [
            "core.tar.gz",
            "licenses.txt",
            "runtime.json",
        ]


class TestPins:
    def test_all_are_pinned(self) -> None:
        for extra in ("runtime", "freeze", "compile"):
            found = pins.pins(extra)  # type: ignore[arg-type]
            assert found
            assert all("==" in pin.partition(";")[0] and "extra" not in pin for pin in found)

    def test_llama_cpp_python_is_among_them(self) -> None:
        assert f"llama-cpp-python=={pins.llama_version()}" in pins.pins("runtime")


class TestNinja:
    @pytest.mark.parametrize(
        ("line", "step"),
        [
            ("[12/443] /usr/bin/c++ -O3 -c a.cpp", (12, 443)),
            ("  [1/2] Building CXX object x.o", (1, 2)),
            ("-- Configuring done [1/2]", None),
            ("[x/2] no", None),
            ("", None),
        ],
    )
    def test_lines(self, line: str, step: tuple[int, int] | None) -> None:
        assert ninja.ninja_step(line) == step

    def test_a_build_within_the_build_is_not_the_one_that_is_shown(self) -> None:
        shown: list[tuple[int, int]] = []

        class Bars(SilentProgress):
            @contextmanager
            def step(self, title: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
                done = 0

                def advance(more: int) -> None:
                    nonlocal done
                    done += more
                    shown.append((done, total or 0))

                yield advance

        with ExitStack() as bars:
            bar = ninja.NinjaProgress("Compiling", Bars(), bars)
            for line in ("[1/2] inner", "[1/300] outer", "[2/2] inner", "[3/300] outer", "no step"):
                bar(line)
        assert shown == [(1, 2), (1, 300), (3, 300)]


class TestPack:
    def test_the_same_folder_gives_the_same_bytes(self, tmp_path: Path) -> None:
        archives = []
        for number, names in enumerate((("a", "b", "c"), ("c", "b", "a"))):
            folder = tmp_path / f"folder{number}"
            _some_files(folder, names)
            os.utime(folder / "a", (number, number))
            (folder / "b").chmod(0o600 + number * 0o40)
            archives.append(tmp_path / f"{number}.tar.gz")
            pack(folder, archives[-1], lambda _: None)
        assert archives[0].read_bytes() == archives[1].read_bytes()
        assert archives[0].read_bytes()[3:10] == b"\0\0\0\0\0\2\xff"  # gzip: no name, no time

    def test_what_is_in_it(self, tmp_path: Path) -> None:
        folder, archive = tmp_path / "folder", tmp_path / "x.tar.gz"
        _some_files(folder, ("a", "b", "c"))
        packed: list[int] = []
        pack(folder, archive, packed.append)
        with tarfile.open(archive) as tar:
            members = {member.name: member for member in tar}
            assert list(members) == ["a", "b", "c", "link", "sub", "sub/program", "sub/twin"]
            assert members["link"].linkname == "sub/program"
            assert members["sub/program"].mode == members["sub"].mode == 0o755
            assert members["a"].mode == 0o644
            assert all((m.mtime, m.uid, m.gid, m.uname, m.gname) == (0, 0, 0, "", "") for m in members.values())
            content = tar.extractfile("sub/twin")
            assert content is not None
            assert content.read() == b"#!/bin/sh\n"
        assert sum(packed) == unpacked_size(folder)
        assert b"PaxHeader" not in gzip.decompress(archive.read_bytes())

    def test_glibc(self, tmp_path: Path) -> None:
        assert needed_glibc(tmp_path) == "2.0"
        (tmp_path / "notes").write_bytes(b"GLIBC_2.99")
        (tmp_path / "a.so").write_bytes(b"\x7fELF..\0GLIBC_2.9\0GLIBC_2.17\0")
        (tmp_path / "b.so").write_bytes(b"\x7fELF..\0GLIBC_2.2.5\0GLIBC_2.4\0GLIBCXX_3.4\0GLIBC_PRIVATE\0")
        (tmp_path / "glibc").mkdir()
        (tmp_path / "glibc" / "libc.so.6").write_bytes(b"\x7fELF..\0GLIBC_2.36\0")
        assert needed_glibc(tmp_path) == "2.36"
        assert needed_glibc(tmp_path, without="glibc") == "2.17"


class TestProcess:
    def test_hands_out_lines_and_keeps_a_log(self, tmp_path: Path) -> None:
        lines: list[str] = []
        run(["sh", "-c", "echo one; echo two >&2"], log=tmp_path / "log", env=os.environ, on_line=lines.append)
        assert lines == ["one\n", "two\n"]
        assert (tmp_path / "log").read_text().endswith("one\ntwo\n")

    def test_a_failure_carries_the_last_lines(self, tmp_path: Path) -> None:
        with pytest.raises(CommandFailed) as told:
            run(["sh", "-c", "echo why; exit 3"], log=tmp_path / "log", env=os.environ)
        assert (told.value.code, told.value.tail) == (3, ("why",))

    def test_a_full_disk_in_the_command_is_a_full_disk(self, tmp_path: Path) -> None:
        script = "echo 'fatal error: error writing to x.s: No space left on device'; exit 1"
        with pytest.raises(OSError) as told:  # noqa: PT011
            run(["sh", "-c", script], log=tmp_path / "log", env=os.environ)
        assert told.value.errno == errno.ENOSPC

    def test_an_interrupt_ends_the_children_too(self, tmp_path: Path) -> None:
        def interrupt(_: str) -> None:
            raise KeyboardInterrupt

        script = f"sleep 60 & echo $! > {tmp_path}/pid; echo started; wait"
        with pytest.raises(KeyboardInterrupt):
            run(["sh", "-c", script], log=tmp_path / "log", env=os.environ, on_line=interrupt)
        child = int((tmp_path / "pid").read_text())
        wait_until(lambda: not _runs(child), 20)

    def test_tuning_of_the_user_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("CFLAGS", "CMAKE_ARGS", "PYTHONPATH"):
            monkeypatch.setenv(name, "mine")
        monkeypatch.setenv("CMAKE_GENERATOR", "mine")
        monkeypatch.setenv("PIP_CERT", "kept")
        found = clean_environment(CMAKE_GENERATOR="ours")
        assert not {"CFLAGS", "CMAKE_ARGS", "PYTHONPATH"} & found.keys()
        assert (found["CMAKE_GENERATOR"], found["PIP_CERT"]) == ("ours", "kept")


class TestWhatIsSaid:
    def test_no_compiler(self, tmp_path: Path) -> None:
        """As a person meets it: scripts/setup's first step, with nothing on PATH."""
        shown = subprocess.run(
            [sys.executable, "-m", "bundler.freeze.develop", "loaf", str(tmp_path / "venv")],
            cwd=ROOT,
            env={"PATH": str(tmp_path), "LOAF_BUILD_CACHE": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 1
        assert shown.stderr.startswith("error: no C++ compiler: `c++` is not on PATH\ninstall one (Debian")
        assert "Traceback" not in shown.stderr

    def test_the_compiler_that_cxx_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CXX", "no-such-compiler -m64")
        with pytest.raises(CompilerMissing, match="no-such-compiler"):
            compiler.find_compiler()

    def test_no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(packages, "run", _fails_with("NewConnectionError: Name or service not known"))
        with pytest.raises(PackagesUnreachable, match="cannot download cmake"):
            packages.pip(Path("python"), [], step="x", wanted="cmake", log=tmp_path / "log")

    def test_a_compiler_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        output = ["[1/9] c++ a.cpp", "a.cpp:3:1: error: expected ';'", "note: more", "ninja: build stopped"]
        monkeypatch.setattr(packages, "run", _fails_with(*output))
        with pytest.raises(StepFailed) as told:
            packages.pip(Path("python"), [], step="compiling", wanted="x", log=tmp_path / "log")
        assert str(told.value) == (
            f"compiling failed:\na.cpp:3:1: error: expected ';'\nthe full log is {tmp_path / 'log'}"
        )

    def test_last_lines_when_none_complains(self) -> None:
        assert packages.complaints([*"abcdefg", ""]) == "c\nd\ne\nf\ng"


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _some_files(folder: Path, names: tuple[str, ...]) -> None:
    (folder / "sub").mkdir(parents=True)
    for name in names:
        (folder / name).write_text(name)
    (folder / "sub" / "program").write_text("#!/bin/sh\n")
    (folder / "sub" / "program").chmod(0o711)
    os.link(folder / "sub" / "program", folder / "sub" / "twin")
    (folder / "link").symlink_to("sub/program")


def _fails_with(*tail: str) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise CommandFailed(["pip"], 1, tail)

    return fail
