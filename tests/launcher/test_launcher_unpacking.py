"""Unpacking, disturbed: many at once, killed at any moment, stopped by signals. What has the final name is whole.

Moments are certain, not lucky: a stand-in for one of the tools that unpack says that it was reached, and waits.
"""

from __future__ import annotations

import os
import platform
import random
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.bundles import clean_environment
from support.small_bundles import build_small, said_by, small_gguf, small_runtime
from support.waiting import wait_until

SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"], "bash": ["bash"]}

MOMENTS = {
    "checking the program": ("sha256sum", "before"),
    "making the folder": ("mkdir", "after"),
    "before tar": ("tar", "before"),
    "after tar": ("tar", "after"),
    "before the marker and the rename": ("mv", "before"),
}
"""The tool that is replaced, and whether it waits before or after it does its work."""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_program_knows_whether_it_was_unpacked_just_now(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the launcher says, whatever the environment does."""
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "build-cache"))
    monkeypatch.setenv("LOAF_UNPACKED", "stale")
    program = small_runtime(tmp_path / "r", '"[$LOAF_UNPACKED]"')
    bundle = build_small(tmp_path / "a.loaf", small_gguf(tmp_path / "m.gguf"), program)
    assert [said_by(bundle, tmp_path / "cache", *SHELLS[shell]) for _ in range(2)] == ["[1]", "[]"]


@pytest.mark.slow
def test_twenty_first_launches_at_once(demo: Path, tmp_path: Path) -> None:
    launches = [start(demo, tmp_path / "cache") for _ in range(20)]
    said = {launch.communicate(timeout=120) for launch in launches}
    assert [launch.returncode for launch in launches] == [0] * 20
    assert len(said) == 1
    assert_whole(tmp_path / "cache")


def test_several_launches_mend_a_damaged_core(demo: Path, warm_cache: Path, tmp_path: Path) -> None:
    shutil.copytree(warm_cache, tmp_path / "cache")
    (core,) = (tmp_path / "cache").iterdir()
    (core / ".whole").unlink()
    launches = [start(demo, tmp_path / "cache") for _ in range(4)]
    assert [launch.wait(timeout=60) for launch in launches] == [0] * 4
    assert_whole(tmp_path / "cache")


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_while_unpacking_then_launched_again(demo: Path, tmp_path: Path, moment: str) -> None:
    launch = start_until(moment, demo, tmp_path)
    os.killpg(launch.pid, signal.SIGKILL)
    launch.communicate()
    assert not list((tmp_path / "cache").glob("core-*"))
    assert_launches(demo, tmp_path / "cache")
    assert_whole(tmp_path / "cache")


def test_killed_and_nobody_asked_then_launched_again(demo: Path, tmp_path: Path) -> None:
    """As under a container's first process that does not ask after the children that it inherits."""
    killed = start_until("before tar", demo, tmp_path)
    os.killpg(killed.pid, signal.SIGKILL)
    wait_until(lambda: ") Z " in Path(f"/proc/{killed.pid}/stat").read_text())
    assert_launches(demo, tmp_path / "cache")
    assert_whole(tmp_path / "cache")
    killed.communicate()


def test_killed_at_any_time_then_launched_again(demo: Path, tmp_path: Path) -> None:
    chance = random.Random(1969)
    for _ in range(8):
        launch = start(demo, tmp_path / "cache")
        time.sleep(chance.uniform(0.02, 0.6))
        os.killpg(launch.pid, signal.SIGKILL)
        launch.communicate()
        assert len(list((tmp_path / "cache").glob(".core-*"))) <= 1
    assert_launches(demo, tmp_path / "cache")
    assert_whole(tmp_path / "cache")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["checking the program", "after tar"])
def test_a_signal_while_unpacking_leaves_nothing(
    demo: Path, tmp_path: Path, shell: str, sent: signal.Signals, moment: str
) -> None:
    """As Ctrl-C and a closed terminal do, to the whole group."""
    launch = start_until(moment, demo, tmp_path, by=SHELLS[shell])
    os.killpg(launch.pid, sent)
    stdout, stderr = launch.communicate(timeout=30)
    assert (launch.returncode, stdout) == (-sent, "")
    assert stderr in ("", "Terminated\n", "Hangup\n")  # the shell's own word on its child
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_signal_to_the_shell_alone_leaves_nothing(demo: Path, tmp_path: Path) -> None:
    """As `docker stop` and `kill` do: the shell acts on it when the tool that it waits for is done."""
    launch = start_until("after tar", demo, tmp_path)
    launch.send_signal(signal.SIGTERM)
    (tmp_path / "go on").touch()
    launch.communicate(timeout=30)
    assert launch.returncode == -signal.SIGTERM
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_a_live_process_unpacks_is_left_alone(demo: Path, tmp_path: Path) -> None:
    first = start_until("before tar", demo, tmp_path)
    (work,) = (tmp_path / "cache").glob(".core-*")
    assert_launches(demo, tmp_path / "cache")
    assert work.is_dir()
    (tmp_path / "go on").touch()
    assert first.communicate(timeout=30)[1] == ""
    assert first.returncode == 0
    assert_whole(tmp_path / "cache")


def test_a_leftover_with_the_launchers_own_number_is_removed(demo: Path, tmp_path: Path) -> None:
    """A container that is killed and started again has the name and the process numbers that it had."""
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    script = 'mkdir "$2/.core-$3.$$" && exec "$1" --version'
    key = f"0123456789abcdef.{platform.node()}"
    assert_launches("sh", cache, "-c", script, "sh", demo, cache, key)
    assert_whole(cache)


@pytest.mark.parametrize("leftover", [".core-0123456789abcdef.{host}.4194305", ".core-0.{host}.7.damaged"])
def test_leftovers_of_dead_processes_are_removed(demo: Path, tmp_path: Path, leftover: str) -> None:
    cache = tmp_path / "cache"
    (cache / leftover.format(host=platform.node())).mkdir(parents=True)
    cache.chmod(0o700)
    (cache / leftover.format(host=platform.node()) / "file").touch()
    assert_launches(demo, cache)
    assert_whole(cache)


def start(
    program: Path | str, cache: Path, *arguments: Path | str, by: list[str] | None = None, **more: str
) -> subprocess.Popen[str]:
    """Launch in a process group of its own."""
    return subprocess.Popen(
        [*(by or []), program, *(arguments or ["--version"])],
        env=clean_environment(cache, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def start_until(moment: str, demo: Path, folder: Path, by: list[str] | None = None) -> subprocess.Popen[str]:
    """Launch with the empty cache `folder/cache`, until the moment; it goes on when `folder/go on` is there."""
    tool, when = MOMENTS[moment]
    real = shutil.which(tool)
    assert real
    reached, go_on = folder / "reached", folder / "go on"
    wait = f": >{shlex.quote(str(reached))}; until [ -e {shlex.quote(str(go_on))} ]; do sleep 0.02; done"
    steps = [f'{real} "$@" || exit'] if when == "after" else []
    steps += [wait] if when == "after" else [wait, f'exec {real} "$@"']
    tools, cache = folder / "tools", folder / "cache"
    tools.mkdir()
    cache.mkdir(mode=0o700)
    (tools / tool).write_text("\n".join(["#!/bin/sh", *steps, ""]))
    (tools / tool).chmod(0o755)
    if by and not shutil.which(by[0]):
        pytest.skip(f"{by[0]} is not installed: apt-get install {by[0]}")
    launch = start(demo, cache, by=by, PATH=f"{tools}:{os.environ['PATH']}")
    wait_until(lambda: reached.exists() or launch.poll() is not None)
    assert launch.poll() is None, launch.communicate()
    return launch


def assert_launches(program: Path | str, cache: Path, *arguments: Path | str) -> None:
    launch = start(program, cache, *arguments)
    said = launch.communicate(timeout=60)
    assert (launch.returncode, said[1]) == (0, "")
    assert "loaf " in said[0]


def assert_whole(cache: Path) -> None:
    """The cache holds one core, whole, and nothing else."""
    (core,) = cache.iterdir()
    assert core.name.startswith("core-")
    names = {entry.name for entry in core.iterdir()}
    prepared = {name for name in names if name.startswith((".place.", "loaf-runtime."))}  # test_c_library.py
    assert names - prepared == {".whole", "loaf-runtime", "_internal", "glibc"}
    assert len(prepared) == 2
