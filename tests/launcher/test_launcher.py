"""The launcher starts the program: under any name, from anywhere, by any shell, with what it was given.

Most tests put a stand-in for the program into a cache, which writes down how it was started: what is tested
is the script at the start of the real file, and what it hands on.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.bundles import Server, clean_environment

SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"], "bash": ["bash"]}

NAMES = [
    "spaces in it.loaf",
    "it's.loaf",
    'say "hi".loaf',
    "$HOME.loaf",
    "`id`.loaf",
    "a;b&c|d.loaf",
    "back\\slash\\n.loaf",
    "new\nline.loaf",
    "*.loaf",
    "%s.loaf",
    "-x.loaf",
    "--help",
    "Brötchen 面包 🍞.loaf",
    "no extension",
]

ARGUMENTS = ["", " ", "two words", "new\nline", "end\n", "'", '"', "$HOME", "*", "\\", "\\n", "--", "-n", "日本", "%s"]

PROGRAM = """#!/bin/sh
open=
for fd in 0 1 2; do [ ! -e "/proc/$$/fd/$fd" ] || open=$open$fd; done
printf '%s\\0' "$$" "$LOAF_BUNDLE" "$PWD" "$open" "$GLIBC_TUNABLES" "$@" >"$REPORT"
"""


@pytest.mark.parametrize("shell", [None, *SHELLS])
def test_any_name_works(probe: Probe, shell: str | None) -> None:
    for name in NAMES:
        file = probe.link(name)
        started = probe.run([*by(shell), f"./{name}", "x"])
        assert (started.bundle, started.arguments) == (str(file), ["x"])


@pytest.mark.parametrize("name", ["--help", "new\nline.loaf", "Brötchen '$x'.loaf"])
def test_the_program_reads_its_bundle_under_any_name(demo: Path, run: Run, tmp_path: Path, name: str) -> None:
    os.link(demo, tmp_path / name)
    assert run(f"./{name}", "--version", cwd=tmp_path).stdout.startswith(f"{name}, loaf ")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_starts_it_by_its_bare_name(probe: Probe, shell: str) -> None:
    file = probe.link("demo.loaf")
    assert probe.run([*by(shell), "demo.loaf"]).bundle == str(file)


@pytest.mark.parametrize("entry", ["{folder}", ".", "../{name}", ""])
def test_it_is_found_on_path(probe: Probe, entry: str) -> None:
    file = probe.link("on path.loaf")
    path = entry.format(folder=probe.folder, name=probe.folder.name)
    started = probe.run(["sh", "-c", "'on path.loaf' x"], PATH=f"{path}:{os.environ['PATH']}")
    assert Path(started.bundle).samefile(file)
    assert Path(started.bundle).is_absolute()


def test_bash_finds_it_on_path(probe: Probe) -> None:
    file = probe.link("onpath.loaf")
    started = probe.run([*by("bash"), "onpath.loaf"], cwd="/", PATH=f"{probe.folder}:{os.environ['PATH']}")
    assert started.bundle == str(file)


def test_it_works_through_links_and_after_a_move(probe: Probe, tmp_path: Path) -> None:
    first = probe.link("first.loaf")
    link, chain = probe.folder / "link", tmp_path / "chain"
    link.symlink_to("first.loaf")
    chain.symlink_to(link)
    assert probe.run(["./link"]).bundle == str(link)
    assert probe.run([chain]).bundle == str(chain)
    moved = first.rename(tmp_path / "moved.loaf")
    assert probe.run([moved]).bundle == str(moved)


def test_a_shell_starts_a_file_that_is_not_executable(probe: Probe, demo: Path) -> None:
    copy = probe.folder / "downloaded.loaf"
    shutil.copyfile(demo, copy)
    assert probe.run(["sh", "downloaded.loaf"]).bundle == str(copy)


@pytest.mark.parametrize("shell", [None, *SHELLS])
def test_arguments_arrive_unchanged(probe: Probe, shell: str | None) -> None:
    probe.link("demo.loaf")
    assert probe.run([*by(shell), "./demo.loaf", *ARGUMENTS]).arguments == ARGUMENTS


def test_the_folder_stays_the_users(probe: Probe, tmp_path: Path) -> None:
    file = probe.link("demo.loaf")
    assert probe.run([file], cwd=tmp_path).folder == str(tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_opened(probe: Probe, shell: str, closed: str) -> None:
    """What is left closed becomes the first file that the program opens."""
    probe.link("demo.loaf")
    started = probe.run(["sh", "-c", f'exec "$@" {closed}', "sh", *by(shell), "./demo.loaf"])
    assert started.open == "012"


def test_huge_pages_are_asked_for(probe: Probe) -> None:
    probe.link("demo.loaf")
    assert probe.run(["./demo.loaf"]).tunables == "glibc.malloc.hugetlb=1"
    users = "glibc.malloc.hugetlb=0:glibc.malloc.arena_max=4"
    assert probe.run(["./demo.loaf"], GLIBC_TUNABLES=users).tunables == users


@pytest.mark.parametrize("closed", ["<&-", "<&- 2>&-"])
def test_it_answers_with_streams_closed(demo: Path, run: Run, closed: str) -> None:
    answered = run("sh", "-c", f'"$0" -p x --raw -n 1 {closed}', demo)
    assert answered.returncode == 0, answered.stderr


def test_it_starts_with_an_empty_environment(demo: Path, warm_cache: Path, run: Run) -> None:
    started = run("env", "-i", f"LOAF_CACHE_DIR={warm_cache}", demo, "--version")
    assert (started.returncode, started.stderr) == (0, "")


def test_busybox_alone_is_enough(demo: Path, tmp_path: Path, run: Run) -> None:
    applets = tmp_path / "applets"
    applets.mkdir()
    for applet in subprocess.run([*by("busybox")[:1], "--list"], capture_output=True, text=True).stdout.split():
        (applets / applet).symlink_to(by("busybox")[0])
    environment = {"PATH": str(applets), "LOAF_CACHE_DIR": str(tmp_path / "cache")}
    for _ in ("first", "warm"):
        started = run(applets / "sh", demo, "--version", env=environment)
        assert (started.returncode, started.stderr) == (0, "")
    assert len(os.listdir(tmp_path / "cache")) == 1


def test_the_script_becomes_the_program(probe: Probe) -> None:
    probe.link("demo.loaf")
    for shell in SHELLS:
        assert probe.run([*by(shell), "./demo.loaf"]).is_the_process_started


def test_a_signal_goes_straight_to_the_server(demo: Path, warm_cache: Path) -> None:
    with Server(demo, cache=warm_cache) as server:
        process = Path("/proc", str(server.process.pid))
        assert (process / "exe").readlink().parent.parent == warm_cache
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_accepts_the_script(demo: Path, run: Run, shell: str, tmp_path: Path) -> None:
    script = tmp_path / "launcher.sh"
    with demo.open("rb") as file:
        script.write_bytes(file.read(64 * 1024))
    checked = run(*by(shell), "-n", script)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Started:
    """What the stand-in wrote down."""

    is_the_process_started: bool
    bundle: str
    folder: str
    open: str
    tunables: str
    arguments: list[str]


class Probe:
    """Runs links of the demo bundle in `folder`, with a stand-in for its program."""

    def __init__(self, demo: Path, key: str, base: Path) -> None:
        self.folder = base / "folder"
        self._demo, self._cache, self._report = demo, base / "cache", base / "report"
        core = self._cache / key
        core.mkdir(parents=True, mode=0o755)
        self._cache.chmod(0o755)
        self.folder.mkdir()
        (core / ".whole").touch()
        program = core / "loaf-runtime"
        program.write_text(PROGRAM)
        program.chmod(0o755)

    def link(self, name: str) -> Path:
        """The bundle under another name: a hard link, which costs nothing."""
        (self.folder / name).hardlink_to(self._demo)
        return self.folder / name

    def run(self, command: list[str | Path], cwd: Path | str | None = None, **more: str) -> Started:
        self._report.unlink(missing_ok=True)
        process = subprocess.Popen(
            command,
            cwd=cwd or self.folder,
            env=clean_environment(self._cache, REPORT=str(self._report), **more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        said = process.communicate(timeout=30)
        assert (process.returncode, *said) == (0, b"", b"")
        pid, bundle, folder, is_open, tunables, *arguments = self._report.read_bytes().decode().split("\0")[:-1]
        return Started(int(pid) == process.pid, os.path.normpath(bundle), folder, is_open, tunables, arguments)


@pytest.fixture
def probe(demo: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Probe:
    (core,) = warm_cache.iterdir()
    return Probe(demo, core.name, tmp_path_factory.mktemp("probe"))


def by(shell: str | None) -> list[str]:
    """The command that starts a script by the shell of this name; none: the kernel reads its first line."""
    if shell is None:
        return []
    command, *options = SHELLS[shell]
    found = shutil.which(command)
    if found is None:
        pytest.skip(f"{command} is not installed: apt-get install {command}")
    return [found, *options]
