"""`--uninstall`: a file's program and packs go, what others have unpacked and what runs stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runtime.bundle import open_bundle
from runtime.cli.uninstalling import uninstall
from support.bundles import Server, clean_environment

OTHERS = ("core-0123456789abcdef/loaf-runtime", "models/OWNER/REPO/0123456789abcdef/a.gguf", "documents/text")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """With what belongs to others, and a link that goes by a name of ours."""
    cache = tmp_path / "cache"
    for name in OTHERS:
        (cache / name).parent.mkdir(parents=True)
        (cache / name).write_text("12345")
    cache.chmod(0o700)
    return cache


def core_of(demo: Path, cache: Path) -> Path:
    manifest = open_bundle(demo).manifest
    entry = next(one for one in manifest.entries if one.name == manifest.runtimes[0].entry)
    return cache / f"core-{entry.sha256[:16]}"


def uninstalled(demo: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [demo, "--uninstall"]
    return subprocess.run(
        command, env=clean_environment(cache), capture_output=True, text=True, timeout=60, check=False
    )


def test_what_a_file_has_unpacked_goes(demo: Path, cache: Path) -> None:
    """The program that does it among it."""
    subprocess.run([demo, "--info"], env=clean_environment(cache), capture_output=True, timeout=60, check=True)
    done = uninstalled(demo, cache)
    assert (done.returncode, done.stderr) == (0, "")
    core = core_of(demo, cache)
    said = done.stdout.splitlines()
    assert said[0].startswith("removed ")
    assert f"MB  {core}: the program for linux-" in said[0]
    assert "this call" not in said[0]
    assert "Weights that -hf and -mu have fetched stay" in said[1]
    assert said[2] == f"The file itself is all that is left of it: {demo.resolve()}"
    assert {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()} == set(OTHERS)


def test_what_only_this_call_had_unpacked_is_told(demo: Path, cache: Path) -> None:
    """And where the file is, without detours."""
    roundabout = demo.parent / ".." / demo.parent.name / demo.name
    said = uninstalled(roundabout, cache).stdout.splitlines()
    assert said[0].endswith(", which only this call had unpacked")
    assert said[1] == f"Nothing else of this file was in {cache}."
    assert said[-1] == f"The file itself is all that is left of it: {demo.resolve()}"


def test_what_runs_stays(demo: Path, cache: Path) -> None:
    with Server(demo, cache=cache) as server:
        done = uninstalled(demo, cache)
        assert (done.returncode, done.stderr) == (0, "")
        assert "which another process runs just now" in done.stdout
        assert "End what runs" in done.stdout
        assert server.get("/health")[0] == 200
    assert core_of(demo, cache).is_dir()


def test_links_are_not_followed(demo: Path, cache: Path) -> None:
    core_of(demo, cache).symlink_to(cache / "documents")
    assert next(uninstall(open_bundle(demo), cache)) == f"Nothing of this file is in {cache}."
    assert (cache / "documents" / "text").exists()
