"""Systems that are not this one, with the demo bundle in them and its program unpacked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.roots import Root, debian_11, empty_root, musl_root


@pytest.fixture(scope="session")
def empty(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with nothing but a static busybox. Read-only for tests."""
    return _launched(empty_root(tmp_path_factory.mktemp("roots") / "empty", demo))


@pytest.fixture(scope="session")
def musl(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """The same with musl. Read-only for tests."""
    return _launched(musl_root(tmp_path_factory.mktemp("roots") / "musl", demo))


@pytest.fixture(scope="session")
def debian(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Debian 11. Read-only for tests."""
    return _launched(debian_11(tmp_path_factory.mktemp("roots") / "debian", demo))


@pytest.fixture(params=["empty", "musl", "debian"])
def system(request: pytest.FixtureRequest) -> Root:
    """One after the other."""
    root = request.getfixturevalue(request.param)
    assert isinstance(root, Root)
    return root


def _launched(root: Root) -> Root:
    launched = root.run("/demo.loaf", "--version")
    assert (launched.returncode, launched.stderr) == (0, "")
    return root


collect_ignore = [] if os.environ.get("LOAF_TEST_ARM64") else ["test_arm64.py"]
"""What `scripts/arm64` runs, after it has frozen the program for arm64."""
