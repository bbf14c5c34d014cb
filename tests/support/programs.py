"""Programs that a test needs: of the system, Debian's packages, which CI has; and loaf's own, as it lies here."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from support.places import ROOT


def needs(program: str, package: str = "") -> None:
    """Skips the test where `program` is not there, and says which `package` brings it, if that has another name."""
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}: apt-get install {package or program}")


def from_source(path: Path, *flags: str | Path) -> Path:
    """Write to `path` what runs as a bundle does, but from its source, with `flags` before those that it is given."""
    command = shlex.join([sys.executable, "-m", "runtime", *map(str, flags)])
    path.write_text(f'#!/bin/sh\ncd {shlex.quote(str(ROOT))} && exec {command} "$@"\n')
    path.chmod(0o755)
    return path
