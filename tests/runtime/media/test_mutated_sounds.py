"""Sounds that were changed by chance are read or refused: none ends the process, takes long or much memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from support.bundles import clean_environment
from support.places import ROOT


@pytest.mark.parametrize("seed", [1, 2])
def test_none_does_more_than_be_refused(seed: int) -> None:
    command = [sys.executable, "-m", "support.mutated_sounds", "150", str(seed)]
    environment = clean_environment() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["read"] + told["refused"] == 150
    assert min(told["read"], told["refused"]) > 10, "some of either"
    assert told["megabytes"] < 300
