"""A server that is reached in every way, and by nobody without leave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bundles import Server
from support.raw_http import PAGE


@pytest.fixture(scope="module")
def guarded(demo: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server with keys, an allowed page, a unix socket beside its port, and no patience."""
    folder = tmp_path_factory.mktemp("guarded")
    path = folder / "loaf.sock"
    (folder / "keys").write_text("from-a-file\n")
    flags = ["--host", f"127.0.0.1,{path}", "--api-key", "swordfish,perch", "--api-key-file", str(folder / "keys")]
    flags += ["--cors-origins", PAGE, "--timeout", "1"]
    with Server(demo, *flags, cache=warm_cache, environment={"LOAF_ALIAS": "x"}) as server:
        yield server, path
        said = "".join(server.said)
    for key in ("swordfish", "perch", "from-a-file"):
        assert key not in said
