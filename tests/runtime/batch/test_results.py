"""What comes out of a batch: answers, a file of results that is gone on with, and what a person sees meanwhile."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.batch.errors import LineRefused, NotResults, OutputFailed, OutputInUse
from runtime.batch.progress import Meter, Tally
from runtime.batch.results import Results
from runtime.console.meter import bar, clock, large, size
from runtime.engine.engine import Engine
from runtime.engine.weights import Weights
from runtime.models.served import Loading, ServedModel
from runtime.server import asking
from runtime.server.connections import Connection
from runtime.settings import Settings
from support.batches import results_in
from support.fakes import FakeContext

# -- answers -----------------------------------------------------------------------------------------------------------


def connections_for(requests: int, at_once: int = 1) -> int:
    """How many connections so many requests take; each must be answered."""
    made = []

    async def ask_all() -> None:
        engine = Engine(lambda: FakeContext(n_ctx=1000))  # type: ignore[arg-type,return-value]
        engine.start()
        await asyncio.wrap_future(engine.ready)
        served = ServedModel("fake", Weights(Path("fake.gguf")), 0, "", engine, Loading())
        connect = asking._connect

        async def counting(protocol: Callable[[], Connection]) -> asking._Wire:
            made.append(protocol)
            return await connect(protocol)

        body = json.dumps({"prompt": [5], "max_tokens": 2}).encode()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asking, "_connect", counting)
            async with asking.answering([served], Settings()) as ask:
                for _ in range(requests // at_once):
                    for answered in await asyncio.gather(*(ask("/v1/completions", body) for _ in range(at_once))):
                        assert (answered.status, json.loads(answered.body)["choices"][0]["text"]) == (200, "6 7 ")
                assert (await ask("/v1/completions", b"{")).status == 400
        engine.stop()
        engine.join(10)

    asyncio.run(ask_all())
    return len(made)


def test_connections_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connections_for(8) == 1
    assert connections_for(8, at_once=4) == 4
    monkeypatch.setattr(asking, "IDLE_SECONDS", 0)
    assert connections_for(8) == 9, "the server may have closed one that waited"


# -- results -----------------------------------------------------------------------------------------------------------


def test_results_are_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "out"
    first = Results(path)
    first.add_answer("a", 200, b'{"text":"\\u00e9"}')
    first.add_answer("b", 400, b'{"error":{}}')
    first.add_refusal(3, LineRefused("invalid_url", "no such url", "c"))
    first.add_refusal(4, LineRefused("invalid_json", "no JSON"))
    first.close()
    assert [(one["custom_id"], one["error"] and one["error"]["line"]) for one in results_in(path)] == [
        ("a", None), ("b", None), ("c", 3), (None, 4),
    ]  # fmt: skip
    assert results_in(path)[0]["response"]["body"] == {"text": "é"}
    again = Results(path)
    assert (again.done, again.told, again.failed, len(again)) == ({"a", "b", "c"}, {4}, 3, 4)
    again.close()


@pytest.mark.parametrize("kept", [0, 1, 10, 40])
def test_half_a_line_is_cut_off(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "out"
    results = Results(path)
    results.add_answer("a", 200, b"{}")
    results.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept])
    results = Results(path)
    results.add_answer("b", 200, b"{}")
    results.close()
    assert [one["custom_id"] for one in results_in(path)] == ["a", "b"]


@pytest.mark.parametrize("text", [b"\0" * 64, b"notes", b"notes\n", b"{}\n", b'{"id":"batch_req_1"}\nnotes', b"1\n"])
def test_what_is_no_result_is_left_as_it_is(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "out"
    path.write_bytes(text)
    with pytest.raises(NotResults):
        Results(path)
    assert path.read_bytes() == text


def test_two_runs_do_not_write_to_one_file(tmp_path: Path) -> None:
    first = Results(tmp_path / "out")
    with pytest.raises(OutputInUse):
        Results(tmp_path / "out")
    first.close()
    Results(tmp_path / "out").close()


def test_a_disk_that_becomes_full_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    results = Results(path)
    results.add_answer("a", 200, b"{}")
    write, room = os.write, iter([10])

    def write_into_little(file: int, data: bytes) -> int:
        for count in room:
            return write(file, data[:count])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write_into_little)
    with pytest.raises(OutputFailed, match="No space left on device"):
        results.add_answer("b", 200, b"{}")
    results.close()
    assert [one["custom_id"] for one in results_in(path)] == ["a"]


# -- what a person sees ------------------------------------------------------------------------------------------------


def test_a_bar_a_clock_and_sizes() -> None:
    assert bar(0.25, 8) == "[##......]"
    assert (bar(-1, 2), bar(2, 2)) == ("[..]", "[##]")
    assert [large(count) for count in (999, 1_900_000, 7_615_616_512)] == ["999", "1.9 million", "7.6 billion"]
    assert [size(count) for count in (2_100_000, 4_050_000_000)] == ["2.1 MB", "4.0 GB"]
    assert [clock(seconds) for seconds in (0, 65, 3665)] == ["0:00", "1:05", "1:01:05"]


def test_progress_says_how_far_it_is_and_the_end_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    tally = Tally(before=50)
    known, unknown = Meter(lambda: 0, tally, 100), Meter(lambda: 0, tally, None)
    assert known.line() == "[############............]  50 of 100"
    now, tally.answered, tally.failed = 110.0, 24, 1
    assert known.line() == "[##################......]  75 of 100, 1 failed  0 tokens/s  0:10 left"
    assert unknown.line() == "75, 1 failed  0 tokens/s  0:10"
    assert known.summary("out") == "out: 24 answered, 1 failed, 50 done before; 0 tokens in 0:10"
