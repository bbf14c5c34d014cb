"""`scripts/attack`, short: the server holds; and one that does not is found."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import ROOT


def attack(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "attacking"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


def test_what_is_quick_to_try_is_held_off(demo: Path) -> None:
    groups = [f"--only={group}" for group in ("names", "keys", "smuggling", "slots")]
    done = attack(*groups, str(demo))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("  held ") == 55


def test_a_server_that_lets_everybody_in_is_found(demo: Path, tmp_path: Path) -> None:
    open_ = tmp_path / "open.loaf"
    open_.write_text(f"#!/bin/sh\nexec {shlex.quote(str(demo))} \"$@\" --cors-origins '*'\n")
    open_.chmod(0o755)
    done = attack("--only=names", str(open_))
    assert done.returncode == 1
    assert "FAILED  another page that posts" in done.stdout


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, ""),
        ({"problem": "it answers"}, "it answers"),
        ({"quiet": 0.1, "during": 0.14}, ""),
        ({"quiet": 0.1, "during": 0.16}, "others wait too long"),
        ({"left": 61_000_000}, "memory does not come back"),
    ],
)
def test_what_counts_as_a_failure(fields: dict[str, float], wrong: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts' / 'attacking')!r})\n"
        "import runpy; from attack import Attack, Result\n"
        "wrong = runpy.run_path(sys.path[0] + '/__main__.py')['_wrong']\n"
        f"fields = {{'problem': '', 'seconds': 1.0}} | {fields!r}\n"
        "print(wrong(Result(Attack('x', lambda target: ''), **fields), 1.5, 60_000_000))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == wrong
