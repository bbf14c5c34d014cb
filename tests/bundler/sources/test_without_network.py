"""Every source of weights without a network, as `build`, `run` and `inspect` name them: two lines, and no traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.bundles import loaf

NOWHERE = "127.0.0.1:1"  # where nobody listens, whatever the machine is connected to
SOURCES = [
    "hf:owner/repository:Q4_K_M",
    "ollama:llama3.2",
    f"ollama:http://{NOWHERE}/library/tiny:1b",
    "gpt4all:nothing.gguf",
    f"https://{NOWHERE}/model.gguf",
    f"http://{NOWHERE}/model.gguf",
]


@pytest.mark.parametrize("command", ["build", "run", "inspect"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_cannot_be_reached_is_two_lines(source: str, command: str, tmp_path: Path) -> None:
    nothing = dict.fromkeys(("HF_ENDPOINT", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), f"http://{NOWHERE}")
    folders = {"HF_HOME": str(tmp_path), "HOME": str(tmp_path), "LOAF_BUILD_CACHE": str(tmp_path / "cache")}
    more = ["-o", str(tmp_path / "x.loaf")] if command == "build" else []
    told = loaf(command, source, *more, env={**os.environ, **nothing, **folders, "NO_PROXY": ""})
    lines = told.stderr.strip().splitlines()
    assert told.returncode == 1
    assert len(lines) == 2, told.stderr
    assert lines[0].startswith("error: ")
    assert "[Errno" not in lines[0]
    assert source.partition("://")[2].partition("/")[0] in lines[0] or source.rpartition(":")[0] in lines[0]
