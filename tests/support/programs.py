"""Programs of the system that a test needs: Debian's packages, which CI has."""

from __future__ import annotations

import shutil

import pytest


def needs(program: str, package: str = "") -> None:
    """Skips the test where `program` is not there, and says which `package` brings it, if that has another name."""
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}: apt-get install {package or program}")
