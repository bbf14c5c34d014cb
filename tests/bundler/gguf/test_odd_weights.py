"""Weights with a damaged header, given to the real program: it refuses or runs, but never crashes, hangs or swells."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.bundles import clean_environment
from support.odd_weights import OddWeights


@pytest.mark.slow
def test_no_damaged_header_brings_it_down(demo: Path, demo_gguf: Path, warm_cache: Path, tmp_path: Path) -> None:
    odd = OddWeights(demo_gguf, tmp_path, [demo], clean_environment(warm_cache), str(tmp_path), seconds=60)
    assert odd.problems(range(200)) == []
