"""Where the launcher unpacks to, and which folders it refuses: those that cannot hold a program, or that others change.

File systems are made in a mount namespace of the test's own, which needs no root where users may have one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bundles import clean_environment
from support.roots import needs_root

NOBODY = 65534

PLACES = {
    "HOME": ({"HOME": "home"}, "home/.cache/loaf"),
    "XDG_CACHE_HOME": ({"HOME": "home", "XDG_CACHE_HOME": "xdg"}, "xdg/loaf"),
    "LOAF_CACHE_DIR": ({"HOME": "home", "XDG_CACHE_HOME": "xdg", "LOAF_CACHE_DIR": "mine/in here"}, "mine/in here"),
    "no HOME": ({"TMPDIR": "tmp"}, "tmp/loaf-{uid}"),
    "an empty HOME": ({"HOME": "", "TMPDIR": "tmp"}, "tmp/loaf-{uid}"),
    "/ for a HOME": ({"HOME": "/", "TMPDIR": "tmp"}, "tmp/loaf-{uid}"),
    "a HOME that holds no folder": ({"HOME": "/proc", "TMPDIR": "tmp"}, "tmp/loaf-{uid}"),
    "an XDG_CACHE_HOME that holds no folder": ({"HOME": "home", "XDG_CACHE_HOME": "/proc"}, "home/.cache/loaf"),
    "a HOME that does not exist": ({"HOME": "nonexistent", "TMPDIR": "tmp"}, "tmp/loaf-{uid}"),
}

MOUNTS = {
    "no room at all": ("mode=755,size=1m", "head -c 2m /dev/zero >full", "No space left on device"),
    "too little room": ("mode=755,size=8m", "true", "No space left on device"),
    "read-only": ("mode=755,ro", "true", "Read-only file system"),
    "noexec": ("mode=755,noexec", "true", "is mounted noexec"),
}


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
@pytest.mark.parametrize("place", PLACES)
def test_the_cache_is_where_the_environment_says(demo: Path, tmp_path: Path, place: str, absolute: bool) -> None:
    variables, expected = PLACES[place]
    for folder in ("home", "tmp"):
        (tmp_path / folder).mkdir()
    paths = {name: str(tmp_path / value) if absolute and value else value for name, value in variables.items()}
    started = launch(demo, env={"PATH": os.environ["PATH"], **paths}, cwd=tmp_path)
    assert (started.returncode, started.stderr) == (0, "")
    cache = tmp_path / expected.format(uid=os.getuid())
    assert [core.name.partition("-")[0] for core in cache.iterdir()] == ["core"]
    assert cache.stat().st_mode & 0o777 == 0o700
    others = {"home", "tmp", *Path(expected).parts[:1]}
    assert set(os.listdir(tmp_path)) == others


@pytest.mark.parametrize("cache", [".", "loaf"], ids=["its root", "a new folder on it"])
@pytest.mark.parametrize("mount", MOUNTS)
def test_a_file_system_that_cannot_hold_a_program_is_refused(
    demo: Path, tmp_path: Path, mount: str, cache: str
) -> None:
    options, prepare, reason = MOUNTS[mount]
    script = f"""
        mount -t tmpfs -o {options} tmpfs "$1" && cd "$1" || exit 99
        {prepare} 2>/dev/null
        find . >"$1.before"
        LOAF_CACHE_DIR=$1/{cache} "$2" --version
        code=$?
        find . ! -name loaf >"$1.after"
        exit $code
    """
    (tmp_path / "mount").mkdir()
    refused = in_namespace(script, tmp_path / "mount", demo)
    assert_refused(refused, reason, "Set LOAF_CACHE_DIR to ")
    assert (tmp_path / "mount.after").read_text() == (tmp_path / "mount.before").read_text()


def test_a_cache_that_became_noexec_is_refused(demo: Path, warm_cache: Path) -> None:
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,noexec "$1" || exit 99; LOAF_CACHE_DIR=$1 "$2" --version'
    assert_refused(in_namespace(script, warm_cache, demo), "is mounted noexec", "Set LOAF_CACHE_DIR to ")


@pytest.mark.parametrize("held", ["home/.cache/loaf", "home"], ids=["with a cache", "without one"])
def test_a_home_that_cannot_be_written_to_is_passed_over(demo: Path, tmp_path: Path, held: str) -> None:
    """As in a container with a read-only root; where the program lies there unpacked, it is run from there."""
    for folder in (held, "tmp"):
        (tmp_path / folder).mkdir(parents=True)
    script = """
        mount --bind "$1/home" "$1/home" && mount -o remount,bind,ro "$1/home" || exit 99
        HOME=$1/home TMPDIR=$1/tmp "$2" --version
    """
    assert in_namespace(script, tmp_path, demo).stderr == ""
    (unpacked,) = (tmp_path / "tmp").iterdir()
    assert [core.name.partition("-")[0] for core in unpacked.iterdir()] == ["core"]
    shutil.rmtree(unpacked)
    launch(demo, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")})
    assert in_namespace(script, tmp_path, demo).stderr == ""
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777, 0o720])
def test_a_folder_that_others_can_write_to_is_refused(demo: Path, own_folder: Path, mode: int) -> None:
    own_folder.chmod(mode)
    refused = launch(demo, env=clean_environment(own_folder))
    assert_refused(refused, "other users can write to it. Set LOAF_CACHE_DIR to ", f"chmod go-w '{own_folder}'")
    assert list(own_folder.iterdir()) == []


@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_another_users_folder_is_refused(demo: Path, own_folder: Path, mode: int) -> None:
    needs_root()
    own_folder.chmod(mode)
    os.chown(own_folder, NOBODY, NOBODY)
    refused = launch(demo, env=clean_environment(own_folder))
    assert_refused(refused, "it belongs to another user. Set LOAF_CACHE_DIR to ")
    assert list(own_folder.iterdir()) == []


def test_a_cache_that_root_prepared_serves_all_users(demo: Path, public: Path) -> None:
    needs_root()
    cache = public / "cache"
    cache.mkdir(mode=0o755)
    shutil.copy(demo, public / "demo.loaf")
    nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    for user in ({"umask": 0o077}, nobody):
        started = launch(public / "demo.loaf", env=clean_environment(cache), **user)
        assert (started.returncode, started.stderr) == (0, "")
        cache.chmod(0o555)


def test_an_empty_cache_of_roots_cannot_be_used_by_others(demo: Path, public: Path) -> None:
    needs_root()
    (public / "cache").mkdir(mode=0o755)
    shutil.copy(demo, public / "demo.loaf")
    environment = clean_environment(public / "cache")
    refused = launch(public / "demo.loaf", env=environment, user=NOBODY, group=NOBODY, extra_groups=[])
    assert_refused(refused, "(Permission denied). Set LOAF_CACHE_DIR to ")


def test_a_file_in_the_caches_place_is_named(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    refused = launch(demo, env=clean_environment(tmp_path / "cache"))
    assert_refused(refused, f"cannot make the folder {tmp_path}/cache to unpack into (File exists). Set LOAF_CACHE_DIR")


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that other users can reach, as pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="loaf-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def launch(bundle: Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [bundle, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **options
    )


def in_namespace(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script with mounts of its own; it exits with 99 when it cannot mount."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("mounting needs root or user namespaces: sysctl -w kernel.unprivileged_userns_clone=1")
    command = ["unshare", "-rm", "sh", "-c", script, "sh", *arguments]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode != 99, done.stderr
    return done


def assert_refused(refused: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 1, and one line that holds all the words."""
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.fullmatch(r"demo\.loaf: [^\n]+\.\n", refused.stderr)
    for word in words:
        assert word in refused.stderr
