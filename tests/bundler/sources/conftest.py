"""A home in which nothing is installed, and a web server to fetch from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.store.cache import build_cache
from support.web import Site, serving


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, with the caches of tools below it, but for what is compiled: that stays the machine's."""
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(build_cache()))
    home = tmp_path / "home"
    home.mkdir()
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "OLLAMA_MODELS", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "cache"))
    with serving(Site()) as site:
        yield site
