"""What a person reads who looks into a file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bundler.file.launcher import LaunchTarget, render_launcher

TARGET = LaunchTarget("linux-x86_64", 1 << 16, 5, 5, "0" * 64, "2.31", "loaf")


@pytest.mark.parametrize(("builds", "says"), [(False, '-p "..."'), (True, "build MODEL")])
def test_it_says_what_the_file_is(tmp_path: Path, builds: bool, says: str) -> None:
    text = render_launcher("some 'name\n", "1.2", 10**6, [TARGET], builds=builds)
    head, _, rest = text.decode().partition("{   #")
    assert "some _name_" in head
    assert "1.2" in head
    assert says in head
    assert ("weights" in head, "programs in it" in head) == (not builds, builds)
    assert all(line.startswith("#") for line in head.splitlines() if line)
    assert "@" not in rest.replace('"$@"', "")
    (tmp_path / "launcher").write_bytes(text)
    subprocess.run(["sh", "-n", tmp_path / "launcher"], check=True)
