"""Weights to quantize, and a place for what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.quantizing import write_model


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.9 MB in F16. Read-only."""
    return write_model(tmp_path_factory.mktemp("half") / "alphabet-F16.gguf")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A bundle to be, in a folder of its own."""
    folder = tmp_path / "made"
    folder.mkdir()
    return folder / "made.loaf"
