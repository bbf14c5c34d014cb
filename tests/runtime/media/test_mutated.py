"""Damaged and lying picture files, sent to a real server: refused or seen, quickly, and with little memory.

The same few each time; `scripts/fuzz` sends many more, others each time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from random import Random

import pytest

from support.bundles import CHAT, Server
from support.from_source import program_in
from support.mutating import files, mutated
from support.pictures import data_uri
from support.processes import memory_of, peak_of
from support.vision import VISION_GGUF, VISION_PROJECTOR

EXAMPLES = int(os.environ.get("LOAF_FUZZ_EXAMPLES", "0"))
COUNT = 3 * EXAMPLES or 119
SEED = time.time_ns() if EXAMPLES else 1969
MOST_MEMORY = 300_000_000
"""Bytes more than the server had before."""

MOST_SECONDS = 20.0
"""Of one picture: far more than any takes, on a machine that does other things, and less than what hangs."""


@pytest.fixture(scope="module")
def sees(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sees")
    flags = ("-m", str(VISION_GGUF), "--mmproj", str(VISION_PROJECTOR), "-t", "1")
    with Server(program_in(folder), *flags, cache=folder / "cache") as server:
        yield server


def shown(server: Server, picture: bytes) -> tuple[int, object]:
    parts = [{"type": "image_url", "image_url": data_uri(picture)}, {"type": "text", "text": "What is it?"}]
    body = {"messages": [{"role": "user", "content": parts}], "max_tokens": 4, "temperature": 0}
    return server.post(CHAT, body)


def test_what_is_mutated_is_read_as_it_is(sees: Server) -> None:
    for name, data in files().items():
        status, told = shown(sees, data)
        assert status == 200, (name, told)


def test_no_picture_crashes_hangs_or_takes_much_memory(sees: Server) -> None:
    status, before = shown(sees, files()["png"])
    assert status == 200, before
    idle = memory_of(sees.process.pid)
    seen = set()
    for name, data in mutated(COUNT, Random(SEED)):
        now, peak = memory_of(sees.process.pid), peak_of(sees.process.pid)
        began = time.monotonic()
        status, told = shown(sees, data)
        seconds = time.monotonic() - began
        more = now + peak() - idle
        where = f"{name}, of seed {SEED}: {status} after {seconds:.1f} s, {more / 1e6:.0f} MB more: {str(told)[:200]}"
        assert status in (200, 400), where
        assert seconds < MOST_SECONDS, where
        assert more < MOST_MEMORY, where
        seen.add(status)
    assert seen == {200, 400}, "some are read, and some are not"
    assert shown(sees, files()["png"])[0] == 200
    assert "Traceback" not in "".join(sees.said)
