"""The build cache: an entry is made once, whole or not at all, and goes when nobody has used it for long."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bundler.errors import CacheFull, CacheUnusable
from bundler.store.cache import build_cache, cached, key_of, log_file
from support.places import ROOT
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("cache_folder")


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
        wait_until(lambda: (cache_folder / "made").exists(), 20)
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
        user = "import os, sys; from pathlib import Path; from bundler.store.locking import keep_for_life; "
        user += "keep_for_life(Path(sys.argv[1])); os.execlp('sh', 'sh', '-c', 'echo used; read line')"
        entry = cached("kind", "used", lambda _: None, needs=0)
        _old(entry, days=2)
        with subprocess.Popen(
            [sys.executable, "-c", user, str(entry)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
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


def _old(path: Path, *, days: int) -> None:
    used = time.time() - days * 86_400
    os.utime(path, (used, used))


def _entries(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "kind").iterdir() if path.is_dir())


def _maker(cache: Path, pause: str) -> subprocess.Popen[bytes]:
    """A process that makes the entry `key`, and writes a line to `made` when it begins."""
    script = f"""
import time
from pathlib import Path
from bundler.store.cache import cached

def make(folder):
    with Path({str(cache)!r}, "made").open("a") as file:
        file.write("made\\n")
    (folder / "result").write_text("ha")
    {pause}
    (folder / "result").write_text("whole")

cached("kind", "key", make, needs=0)
"""
    return subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
