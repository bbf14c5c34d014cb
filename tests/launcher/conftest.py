"""Systems that are not this one, with the demo bundle in them and its program unpacked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.roots import Root, debian_11, empty_root, musl_root

SYSTEMS: dict[str, Callable[[Path, Path], Root]] = {"empty": empty_root, "musl": musl_root, "Debian 11": debian_11}


@pytest.fixture(scope="session")
def empty(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with nothing but a static busybox. Read-only for tests."""
    return _launched(empty_root(tmp_path_factory.mktemp("roots") / "empty", demo))


@pytest.fixture(scope="session", params=SYSTEMS)
def system(request: pytest.FixtureRequest, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """One after the other. Read-only for tests."""
    folder = tmp_path_factory.mktemp("roots") / request.param.replace(" ", "-")
    return _launched(SYSTEMS[request.param](folder, demo))


def _launched(root: Root) -> Root:
    launched = root.run("/demo.loaf", "--version")
    assert (launched.returncode, launched.stderr) == (0, "")
    return root
