"""The memory that `loaf inspect` tells, held against what a launch takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.bundles import Server, loaf


def told(file: Path, context: int) -> dict[str, int]:
    (model,) = json.loads(loaf("inspect", "--json", str(file), check=True).stdout)["models"]
    return next(dict(need) for need in model["memory"] if need["context"] == context)


def test_the_parts_add_up(demo: Path) -> None:
    need = told(demo, 2048)
    assert need.pop("total") == sum(need.values()) - need["context"]
    line = next(line for line in loaf("inspect", str(demo)).stdout.splitlines() if "memory at 2,048" in line)
    assert re.search(r"\(weights .*, KV cache .*, computing .*, program .*\)", line)


@pytest.mark.parametrize("prompt", [range(100, 1100)])
def test_a_launch_takes_what_was_told(demo: Path, warm_cache: Path, prompt: range) -> None:
    """Within a tenth, once it has computed a prompt that fills a micro-batch."""
    with Server(demo, "--ctx-size", "2048", cache=warm_cache) as server:
        assert server.post("/completion", {"prompt": list(prompt), "n_predict": 8})[0] == 200
        rollup = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text()
    resident = re.search(r"^Rss:\s+(\d+) kB$", rollup, re.MULTILINE)
    assert resident
    assert 1024 * int(resident[1]) == pytest.approx(told(demo, 2048)["total"], rel=0.1)
