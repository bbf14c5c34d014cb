"""Making the runtime: the cache it is kept in, the packing, and what is said when something is missing."""

from __future__ import annotations

import errno
import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bundler.cache import build_cache, cached, key_of, log_file
from bundler.errors import CacheFull, CacheUnusable, CompilerMissing, PackagesUnreachable, StepFailed
from bundler.freeze import compiler, ninja, packages, pins, pipeline, wheel
from bundler.freeze.corrections import CORRECTIONS, correct
from bundler.freeze.environment import tidy_libraries
from bundler.freeze.pack import needed_glibc, pack, unpacked_size
from bundler.freeze.process import CommandFailed, clean_environment, run
from bundler.progress import LineProgress, SilentProgress, TerminalProgress, format_bytes

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(folder))
    return folder


class TestCorrections:
    @pytest.fixture
    def sources(self, tmp_path: Path) -> Path:
        """llama.cpp, as far as it is corrected."""
        for correction in CORRECTIONS:
            file = tmp_path / "llama.cpp" / correction.file
            file.parent.mkdir(parents=True)
            file.write_text(f"before\n{correction.old}after\n")
        return tmp_path / "llama.cpp"

    def test_change_what_they_name_and_nothing_else(self, sources: Path, tmp_path: Path) -> None:
        correct(sources, tmp_path / "log")
        for correction in CORRECTIONS:
            assert (sources / correction.file).read_text() == f"before\n{correction.new}after\n"

    @pytest.mark.parametrize("text", [None, "", "{old}{old}"], ids=["no file", "not there", "twice"])
    def test_a_version_that_is_another_is_not_compiled(self, sources: Path, tmp_path: Path, text: str | None) -> None:
        first = CORRECTIONS[0]
        file = sources / first.file
        file.unlink() if text is None else file.write_text(text.format(old=first.old))
        with pytest.raises(StepFailed, match=f"{first.file} is not as corrections.py expects it"):
            correct(sources, tmp_path / "log")


class TestCache:
    def test_makes_an_entry_once(self) -> None:
        calls: list[Path] = []

        def make(folder: Path) -> None:
            calls.append(folder)
            (folder / "result").write_text("made")

        first = cached("kind", "key", make, needs=0)
        assert cached("kind", "key", make, needs=0) == first
        assert (first / "result").read_text() == "made"
        assert len(calls) == 1

    def test_is_private(self, cache_folder: Path) -> None:
        cached("kind", "key", lambda _: None, needs=0)
        assert cache_folder.stat().st_mode & 0o777 == 0o700

    def test_a_failed_entry_does_not_count(self) -> None:
        def fail(folder: Path) -> None:
            (folder / "half").write_text("half")
            raise RuntimeError("broken")

        with pytest.raises(RuntimeError):
            cached("kind", "key", fail, needs=0)
        assert not list(cached("kind", "key", lambda _: None, needs=0).iterdir())

    def test_two_at_once_make_it_once(self, cache_folder: Path) -> None:
        makers = [_maker(cache_folder, "time.sleep(0.5)") for _ in range(2)]
        assert [maker.wait(20) for maker in makers] == [0, 0]
        assert (cache_folder / "made").read_text() == "made\n"
        assert (cache_folder / "kind" / "key" / "result").read_text() == "whole"

    def test_killed_in_the_middle(self, cache_folder: Path) -> None:
        victim = _maker(cache_folder, "time.sleep(60)")
        _wait_for(lambda: (cache_folder / "made").exists())
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        assert len(list((cache_folder / "kind").glob("key.*.partial"))) == 1
        assert _maker(cache_folder, "").wait(20) == 0
        assert sorted(path.name for path in (cache_folder / "kind").iterdir()) == ["key", "key.lock"]

    def test_what_nobody_uses_goes_when_something_new_comes(self, cache_folder: Path) -> None:
        for number in range(6):
            _old(cached("kind", f"old{number}", lambda _: None, needs=0), days=10 - number)
        leftover = cache_folder / "kind" / "dead.xyz.partial"
        leftover.mkdir()
        _old(leftover, days=2)
        cached("kind", "old1", lambda _: pytest.fail("made again"), needs=0)  # and so used today
        cached("kind", "new", lambda _: None, needs=0, keep=3)
        assert _entries(cache_folder) == ["new", "old1", "old5"]

    def test_what_was_used_today_stays(self, cache_folder: Path) -> None:
        for number in range(6):
            cached("kind", f"key{number}", lambda _: None, needs=0, keep=1)
        assert len(_entries(cache_folder)) == 6

    def test_what_is_locked_stays(self, cache_folder: Path) -> None:
        user = "import os, sys; from pathlib import Path; from bundler.locking import keep_for_life; "
        user += "keep_for_life(Path(sys.argv[1])); os.execlp('sh', 'sh', '-c', 'echo used; read line')"
        entry = cached("kind", "used", lambda _: None, needs=0)
        _old(entry, days=2)
        with subprocess.Popen(
            [sys.executable, "-c", user, str(entry)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"used\n"
            cached("kind", "new", lambda _: None, needs=0, keep=1)
            assert _entries(cache_folder) == ["new", "used"]
            process.communicate(b"\n")
        cached("kind", "newer", lambda _: None, needs=0, keep=1)
        assert _entries(cache_folder) == ["new", "newer"]

    def test_old_logs_go(self, cache_folder: Path) -> None:
        for number in range(30):
            log = log_file(f"quantize-{number}")
            log.write_text("said")
            _old(log, days=50 - number)
        log_file("next")
        assert sorted(path.stem for path in (cache_folder / "logs").iterdir()) == [
            f"quantize-{number}" for number in range(14, 30)
        ]

    def test_a_disk_that_is_too_small_is_told_before_anything_is_made(self, cache_folder: Path) -> None:
        with pytest.raises(CacheFull, match=f"^the disk of {cache_folder}") as told:
            cached("kind", "key", lambda _: pytest.fail("started"), needs=1 << 60)
        assert told.value.needs == 1 << 60
        assert "LOAF_BUILD_CACHE" in told.value.hint

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_disk_that_becomes_full(self, number: int) -> None:
        def fail(folder: Path) -> None:
            raise OSError(number, os.strerror(number), str(folder))

        with pytest.raises(CacheFull):
            cached("kind", "key", fail, needs=1000)

    def test_a_folder_that_cannot_be_made(self, cache_folder: Path) -> None:
        cache_folder.write_text("a file")
        with pytest.raises(CacheUnusable, match=f"{cache_folder} cannot be used"):
            cached("kind", "key", lambda _: None, needs=0)

    def test_where_it_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert build_cache() == tmp_path / "cache"
        monkeypatch.delenv("LOAF_BUILD_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert build_cache() == tmp_path / "xdg" / "loaf-build"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        assert build_cache() == tmp_path / "home" / ".cache" / "loaf-build"


def _old(path: Path, *, days: int) -> None:
    used = time.time() - days * 86_400
    os.utime(path, (used, used))


def _entries(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "kind").iterdir() if path.is_dir())


class TestKeys:
    def test_every_input_counts(self) -> None:
        keys = {
            key_of(a="1", b="2"),
            key_of(a="1", b="3"),
            key_of(a="2", b="1"),
            key_of(a="1"),
            key_of(a="12"),
        }
        assert len(keys) == 5
        assert key_of(a="1", b="2") == key_of(b="2", a="1")

    def test_values_do_not_run_into_each_other(self) -> None:
        assert key_of(a="1\nb=1:2") != key_of(a="1", b="2")

    @pytest.mark.parametrize("field", ["c", "cxx", "version"])
    def test_the_wheel_depends_on_the_compiler(self, field: str) -> None:
        fields = {"c": "cc", "cxx": "c++", "version": "c++ 12.2.0"}
        other = fields | {field: "another"}
        assert wheel.wheel_key(compiler.Compiler(**fields)) != wheel.wheel_key(compiler.Compiler(**other))

    def test_the_wheel_depends_on_the_flags(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = compiler.Compiler("cc", "c++", "c++ 12.2.0")
        before = wheel.wheel_key(found)
        monkeypatch.setattr(wheel, "RECIPE", wheel.RECIPE + " -DGGML_CUDA=ON")
        assert wheel.wheel_key(found) != before

    def test_the_runtime_depends_on_each_of_its_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        source = tmp_path / "runtime"
        (source / "web").mkdir(parents=True)
        (source / "__main__.py").write_text("print(1)")
        monkeypatch.setattr(pipeline, "runtime_dir", lambda: source)
        before = pipeline.runtime_key(Path("cache/wheel/0123/x.whl"))
        (source / "__pycache__").mkdir()
        (source / "__pycache__" / "main.pyc").write_bytes(b"compiled")
        assert pipeline.runtime_key(Path("cache/wheel/0123/x.whl")) == before
        (source / "web" / "index.html").write_text("<p>")
        assert pipeline.runtime_key(Path("cache/wheel/0123/x.whl")) != before
        assert pipeline.runtime_key(Path("cache/wheel/4567/x.whl")) != before


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
        assert needed_glibc(tmp_path) == "2.17"


class TestLibraries:
    def test_three_copies_become_one_file(self, tmp_path: Path) -> None:
        libraries, binaries = tmp_path / "llama_cpp" / "lib", tmp_path / "bin"
        libraries.mkdir(parents=True)
        binaries.mkdir()
        for name in ("libllama.so", "libllama.so.0", "libllama.so.0.5.0", "libalone.so"):
            (libraries / name).write_text("library")
        (binaries / "libggml-cpu-x64.so").write_text("backend")
        tidy_libraries(tmp_path)
        assert sorted(path.name for path in libraries.iterdir()) == [
            "libalone.so",
            "libggml-cpu-x64.so",
            "libllama.so",
            "libllama.so.0",
        ]
        assert (libraries / "libllama.so").readlink() == Path("libllama.so.0")
        assert not (libraries / "libllama.so.0").is_symlink()


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
        _wait_for(lambda: not _runs(child))

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
            [sys.executable, "-m", "bundler.freeze.develop", "state"],
            cwd=CHECKOUT,
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


class TestProgress:
    def test_lines_when_there_is_no_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _Clock(monkeypatch)
        stream = io.StringIO()
        with LineProgress(stream).step("Compiling", 100, "steps") as advance:
            for _ in range(100):
                clock.now += 1
                advance(1)
        lines = stream.getvalue().splitlines()
        assert lines[0] == "Compiling ..."
        assert lines[1] == "Compiling:  10%  10 of 100  1:30 left"
        assert lines[-1] == "Compiling: done in 1:40"
        assert len(lines) == 11

    def test_a_short_step_does_not_fill_the_log(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _Clock(monkeypatch)
        stream = io.StringIO()
        with LineProgress(stream).step("Copying", 100, "bytes") as advance:
            for _ in range(100):
                advance(1)
        assert stream.getvalue() == "Copying ...\n"

    def test_a_sign_of_life_when_no_end_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _Clock(monkeypatch)
        stream = io.StringIO()
        with LineProgress(stream).step("Freezing", None, "steps") as advance:
            for _ in range(62):
                clock.now += 1
                advance(1)
        assert stream.getvalue().splitlines()[1:3] == ["Freezing: 30, 0:30", "Freezing: 60, 1:00"]

    def test_a_bar_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _Clock(monkeypatch)
        monkeypatch.setenv("COLUMNS", "200")
        stream = io.StringIO()
        with TerminalProgress(stream).step("Writing", 4 * 10**9, "bytes") as advance:
            clock.now += 10
            advance(10**9)
        pictures = stream.getvalue().split("\r\x1b[K")
        assert pictures[2] == f"Writing  [{'#' * 6}{'.' * 18}]  25%  1.00 GB of 4.00 GB  0:30 left"
        assert pictures[-1] == ""

    def test_silence(self) -> None:
        with SilentProgress().step("Writing", 1, "bytes") as advance:
            advance(1)
        SilentProgress().say("nothing")

    @pytest.mark.parametrize(
        ("count", "text"),
        [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (21_800_000, "21.8 MB"), (4 * 10**9, "4.00 GB")],
    )
    def test_bytes(self, count: int, text: str) -> None:
        assert format_bytes(count) == text


class _Clock:
    """Stands in for the monotonic clock; starts at 1000 seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def _maker(cache: Path, pause: str) -> subprocess.Popen[bytes]:
    """A process that makes the entry `key`, and writes a line to `made` when it begins."""
    script = f"""
import time
from pathlib import Path
from bundler.cache import cached

def make(folder):
    with Path({str(cache)!r}, "made").open("a") as file:
        file.write("made\\n")
    (folder / "result").write_text("ha")
    {pause}
    (folder / "result").write_text("whole")

cached("kind", "key", make, needs=0)
"""
    return subprocess.Popen([sys.executable, "-c", script], cwd=CHECKOUT)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
