"""What is left on the disk: listed whole, taken away, and nothing of anybody else's."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from bundler.cli import loaf
from bundler.store.clearing import KINDS, clear, kept
from bundler.store.locking import locked

KEY = "0123456789abcdef"
OURS = {
    "programs": (f"cache/core-{KEY}/loaf-runtime", f"cache/vulkan-{KEY}/lib.so", f"cache/.core-{KEY}.host.1/half"),
    "models": (f"cache/models/OWNER/REPO/{KEY}/a.gguf", f"cache/models/web/{KEY}/b.gguf"),
    "downloads": tuple(f"builds/downloads/{name}" for name in (f"{KEY}-c.gguf", "sha256-d.part", "sha256-d.part.etag")),
    "builds": (f"builds/wheel/{KEY}/x.whl", f"builds/runtime/{KEY}.aaaa.partial/half"),
}  # fmt: skip
NOT_OURS = (
    "cache/models/OWNER/REPO/mine/e.gguf",
    "cache/models/f.gguf",
    "cache/core-notes/text",
    "cache/documents/text",
    f"builds/wheel/{KEY}.lock",
    "builds/wheel/notes/text",
    "builds/digests.json",
)
MAPS = """
import mmap, sys
with open(sys.argv[1]) as file:
    held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that is left, and what looks like it."""
    for name, value in (("HOME", "home"), ("LOAF_CACHE_DIR", "cache"), ("LOAF_BUILD_CACHE", "builds"), ("TMPDIR", "")):
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)  # which remembers the first one
    for name in (*NOT_OURS, *(name for names in OURS.values() for name in names)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    return tmp_path


def left(disk: Path) -> set[str]:
    """All files but new locks."""
    found = {str(path.relative_to(disk)) for path in disk.rglob("*") if path.is_file()}
    return {name for name in found if not name.endswith(".lock")} | (found & set(NOT_OURS))


def test_all_of_it_is_listed_with_sizes(disk: Path) -> None:
    found = {kind: sum(one.size for one in kept() if one.kind == kind) for kind in KINDS}
    assert found == {kind: 5 * len(names) for kind, names in OURS.items()}
    assert left(disk) == {*NOT_OURS, *(name for names in OURS.values() for name in names)}


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_is_removed(disk: Path, kind: str) -> None:
    result = CliRunner().invoke(loaf, ["clean", kind, "--yes"])
    assert result.exit_code == 0, result.output
    others = {name for other, names in OURS.items() if other != kind for name in names}
    assert left(disk) == {*NOT_OURS, *others}


def test_everything_is_removed_and_nothing_else(disk: Path) -> None:
    CliRunner().invoke(loaf, ["clean", "--yes"])
    assert left(disk) == set(NOT_OURS)
    assert "Nothing is there." in CliRunner().invoke(loaf, ["clean"]).output


def test_without_yes_it_only_says(disk: Path) -> None:
    before = left(disk)
    result = CliRunner().invoke(loaf, ["clean", "models", "programs"])
    assert left(disk) == before
    assert f"{disk}/cache/models/OWNER/REPO" in result.output
    assert "downloads:" not in result.output
    assert "`loaf clean models programs --yes` removes it." in result.output


def test_a_program_that_runs_stays(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the folder goes by another name than the one by which the system knows the file."""
    (disk / "link").symlink_to("cache")
    monkeypatch.setenv("LOAF_CACHE_DIR", str(disk / "link"))
    file = disk / OURS["programs"][0]
    command = [sys.executable, "-c", MAPS, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as runs:
        assert runs.stdout is not None
        runs.stdout.readline()
        result = CliRunner().invoke(loaf, ["clean", "programs", "--yes"])
        assert {name for name in left(disk) if "/core-0" in name or "vulkan" in name} == {OURS["programs"][0]}
        assert f"in use:\n   5 bytes  {disk}/link/core-{KEY}\n" in result.output
        runs.communicate()
    CliRunner().invoke(loaf, ["clean", "programs", "--yes"])
    assert not file.exists()


@pytest.mark.parametrize(("kind", "lock"), [("builds", f"wheel/{KEY}"), ("downloads", "downloads/sha256-d")])
def test_what_is_being_made_stays(disk: Path, kind: str, lock: str) -> None:
    before = kept()
    with locked(disk / "builds" / lock):
        held = [one for one in kept() if one.is_used]
        assert {one.kind for one in held} == {kind}
        assert not any(clear(one) for one in before if one.path in [other.path for other in held])
    assert all(one.path.exists() for one in held)
    assert not any(one.is_used for one in kept())


def test_links_are_not_followed(disk: Path) -> None:
    (disk / "cache" / "core-fedcba9876543210").symlink_to(disk / "cache" / "documents")
    (disk / "builds" / "wheel" / "fedcba9876543210").symlink_to(disk / "cache" / "documents")
    CliRunner().invoke(loaf, ["clean", "--yes"])
    assert (disk / "cache" / "documents" / "text").exists()
