"""The tiny models, loaded once for the tests of one file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.pools import Library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    library = Library(tmp_path_factory.mktemp("models"))
    yield library
    library.close()
