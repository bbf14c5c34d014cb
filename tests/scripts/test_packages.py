"""The wheel that a release consists of, as its user meets it: an empty environment, and no compiler to be found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bundler.paths import PROGRAMS
from bundler.programs import MadeHere
from bundler.programs.holding import write_programs
from bundler.progress import SILENCE
from support.bundles import clean_environment
from support.places import ROOT
from support.small_bundles import HERE

sys.path.append(str(ROOT / "scripts" / "releasing"))

from packaging_tools import check_metadata, copy_of_the_checkout, make_sdist, make_wheel


@pytest.mark.slow
def test_the_wheel_builds_what_a_checkout_builds(demo: Path, tmp_path: Path) -> None:
    """With the programs of the demo bundle, and what pictures need, since they are there."""
    output, folder = tmp_path / "release", tmp_path / "empty"
    output.mkdir()
    source = copy_of_the_checkout(ROOT, tmp_path / "source")
    make_sdist(source, output, SILENCE)
    write_programs(source / "bundler" / PROGRAMS, MadeHere(SILENCE), (), SILENCE)
    make_wheel(source, output, SILENCE)
    check_metadata(output, SILENCE)
    (wheel,) = output.glob("*-py3-none-any.whl")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", wheel], check=True, timeout=240)
    env = clean_environment(tmp_path / "launch", LOAF_BUILD_CACHE=str(tmp_path / "build"), PATH=str(folder / "bin"))
    built = subprocess.run(
        ["loaf", "build", "demo", "--platform", HERE, "-o", tmp_path / "demo.loaf"],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "demo.loaf").read_bytes() == demo.read_bytes()
