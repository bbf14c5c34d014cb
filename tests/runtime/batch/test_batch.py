"""`--batch`: OpenAI's batch format in and out, interrupted at any moment, with lines that ask for nothing."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.bundles import Server, clean_environment
from support.fakes import FakeContext

from runtime.batch import reading
from runtime.batch.errors import LineRefused, NotResults, OutputFailed, OutputInUse
from runtime.batch.progress import Meter, Tally
from runtime.batch.reading import Line, ReadAhead, count_lines
from runtime.batch.requests import URLS, BatchRequest, parse_request
from runtime.batch.results import Results
from runtime.console.meter import bar, clock, large, size
from runtime.engine.backend import Weights
from runtime.engine.engine import Engine
from runtime.models.served import Loading, ServedModel
from runtime.server import asking
from runtime.server.connections import Connection
from runtime.settings import Settings

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def chat(name: str, text: str = "Who was the first man on the moon?", **more: Any) -> dict[str, Any]:
    """A line that asks for a short answer, always the same."""
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 4, "temperature": 0, **more}
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def write_lines(path: Path, *lines: Any) -> Path:
    """Each as JSON, or as it is where it is bytes."""
    path.write_bytes(
        b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    )
    return path


def results_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# -- what a line asks for ----------------------------------------------------------------------------------------------


def test_a_line_is_a_request() -> None:
    body = b'{"messages": [{"role": "user", "content": "caf\xc3\xa9"}]}'
    for url in URLS:
        line = b'{"custom_id": "a", "method": "POST", "url": "' + url.encode() + b'", "body": ' + body + b"}"
        assert parse_request(line) == BatchRequest("a", url, body)


REFUSED: list[tuple[str, bytes, str, str | None]] = [
    ("no JSON", b"{", "invalid_json", None),
    ("not UTF-8", b'{"custom_id": "\xff", "url": "/v1/completions", "body": {}}', "invalid_json", None),
    ("deep", b'{"body": ' + b"[" * 100_000, "invalid_json", None),
    ("a list", b"[]", "invalid_line", None),
    ("no name", b'{"url": "/v1/completions", "body": {}}', "invalid_line", None),
    ("a number for a name", b'{"custom_id": 7, "url": "/v1/completions", "body": {}}', "invalid_line", None),
    ("an empty name", b'{"custom_id": "", "url": "/v1/completions", "body": {}}', "invalid_line", None),
    ("no body", b'{"custom_id": "a", "url": "/v1/completions"}', "invalid_line", "a"),
    ("no url", b'{"custom_id": "a", "body": {}}', "invalid_line", "a"),
    ("another url", b'{"custom_id": "a", "url": "/slots", "body": {}}', "invalid_url", "a"),
    ("GET", b'{"custom_id": "a", "method": "GET", "url": "/v1/completions", "body": {}}', "invalid_method", "a"),
    ("a stream", b'{"custom_id": "a", "url": "/v1/completions", "body": {"stream": true}}', "stream_unsupported", "a"),
]


@pytest.mark.parametrize(("line", "code", "name"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_line_that_is_none_is_told_by_its_name(line: bytes, code: str, name: str | None) -> None:
    with pytest.raises(LineRefused) as refused:
        parse_request(line)
    assert (refused.value.code, refused.value.custom_id) == (code, name)


# -- lines -------------------------------------------------------------------------------------------------------------


def lines_of(data: bytes) -> list[Line]:
    async def read() -> list[Line]:
        ahead = ReadAhead(io.BytesIO(data))
        lines = []
        while (line := await ahead.next()) is not None:
            lines.append(line)
        assert await ahead.next() is None, "whoever asks later is told, too"
        return lines

    return asyncio.run(read())


def test_lines_keep_their_numbers_and_blank_ones_are_none() -> None:
    assert lines_of(b"a\n\n \t\r\nb") == [Line(1, b"a\n"), Line(4, b"b")]
    assert lines_of(b"") == []


def test_a_line_that_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 8)
    monkeypatch.setattr(reading, "_BLOCK", 4)
    assert lines_of(b"12345678\n123456789\nb\n" + b"x" * 50) == [
        Line(1, b"12345678\n"), Line(2, None), Line(3, b"b\n"), Line(4, None),
    ]  # fmt: skip


def test_an_error_of_reading_is_everybodys() -> None:
    class Broken(io.BytesIO):
        def readline(self, _size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def read() -> None:
        ahead = ReadAhead(Broken())
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                await ahead.next()

    asyncio.run(read())


def test_lines_are_counted_where_they_stay(tmp_path: Path) -> None:
    for text, count in ((b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2)):
        (tmp_path / "in").write_bytes(text)
        assert count_lines(tmp_path / "in") == count
    assert count_lines(Path("-")) is None


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
    known, unknown = Meter([], tally, 100), Meter([], tally, None)
    assert known.line() == "[############............]  50 of 100"
    now, tally.answered, tally.failed = 110.0, 24, 1
    assert known.line() == "[##################......]  75 of 100, 1 failed  0 tokens/s  0:10 left"
    assert unknown.line() == "75, 1 failed  0 tokens/s  0:10"
    assert known.summary("out") == "out: 24 answered, 1 failed, 50 done before; 0 tokens in 0:10"


# -- the real thing ----------------------------------------------------------------------------------------------------

MIXED = [
    chat("chat"),
    {"custom_id": "text", "url": "/v1/completions", "body": {"prompt": "The moon", "max_tokens": 4, "temperature": 0}},
    {"custom_id": "vector", "url": "/v1/embeddings", "body": {"input": "moon"}},
    {"custom_id": "response", "url": "/v1/responses", "body": {"input": "Hello", "max_output_tokens": 4}},
    chat("wrong", messages=[]),
    chat("deep", response_format={"type": "json_schema"}),
    b"{not json",
    {"custom_id": "elsewhere", "url": "/v1/audio/speech", "body": {}},
    chat("chat", "the same name again"),
    {**chat("grüße"), "extra": 1},
]


def without_chance(body: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs from one time to the next: names, times, how much was cached."""
    body.get("usage", {}).pop("prompt_tokens_details", None)
    return {name: value for name, value in body.items() if name not in ("id", "created", "timings")}


def test_results_are_what_the_server_answers(demo: Path, run: Run, server: Server, tmp_path: Path) -> None:
    given, out = write_lines(tmp_path / "in.jsonl", *MIXED), tmp_path / "out.jsonl"
    done = run(demo, "--batch", given, "-o", out)
    results = results_in(out)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{out}: 5 answered, 5 failed; " in done.stderr
    assert f"error: 5 of 10 requests failed\nTheir lines in {out} say why.\n" in done.stderr
    named = {one["custom_id"]: one for one in results if one["custom_id"]}
    for line in [*MIXED[:6], MIXED[-1]]:
        assert isinstance(line, dict)
        status, body = server.post(line["url"], line["body"])
        result = named.pop(line["custom_id"])
        assert result["error"] is None
        assert result["response"]["status_code"] == status
        if line["custom_id"] != "response":
            assert without_chance(result["response"]["body"]) == without_chance(body)
    assert named.pop("elsewhere")["error"]["code"] == "invalid_url"
    assert not named
    nameless = [one["error"] for one in results if one["custom_id"] is None]
    assert [(error["line"], error["code"]) for error in nameless] == [(7, "invalid_json"), (9, "duplicate_custom_id")]
    ids = [one["id"] for one in results]
    assert len(set(ids)) == len(MIXED)

    before = out.read_bytes()
    again = run(demo, "--batch", given, "-o", out)
    assert again.returncode == 1, "what failed before has failed"
    assert "0 answered, 0 failed, 10 done before" in again.stderr
    assert out.read_bytes() == before


def test_requests_come_from_standard_input_and_results_go_anywhere(
    demo: Path, warm_cache: Path, tmp_path: Path
) -> None:
    given = write_lines(tmp_path / "in.jsonl", *(chat(f"r{i}") for i in range(40)))
    command = f"{demo} --batch - -o /dev/stdout | cat"
    done = subprocess.run(
        ["sh", "-c", command],
        input=given.read_bytes(),
        env=clean_environment(warm_cache),
        capture_output=True,
        timeout=60,
    )
    assert sorted(json.loads(line)["custom_id"] for line in done.stdout.splitlines()) == sorted(
        f"r{i}" for i in range(40)
    )
    assert b"/dev/stdout: 40 answered, 0 failed; 160 tokens in " in done.stderr


FAILURES: list[tuple[str, list[str], int, str]] = [
    ("a full disk", ["--batch", "{in}", "-o", "/dev/full"], 1, "/dev/full: No space left on device"),
    ("no such file", ["--batch", "/no/such", "-o", "{out}"], 1, "/no/such: No such file"),
    ("a folder", ["--batch", "/tmp", "-o", "{out}"], 1, "/tmp: Is a directory"),
    ("no such folder", ["--batch", "{in}", "-o", "/no/such/out"], 1, "/no/such/out: No such file"),
    ("no output", ["--batch", "{in}"], 2, "--batch FILE and --output FILE belong together"),
    ("no input", ["-o", "{out}"], 2, "--batch FILE and --output FILE belong together"),
    ("one file for both", ["--batch", "{in}", "-o", "{in}"], 2, "--batch and --output are the same file"),
    ("a prompt, too", ["--batch", "{in}", "-o", "{out}", "-p", "Hello"], 2, "Either a prompt or --batch"),
]


@pytest.mark.parametrize(
    ("flags", "code", "message"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
def test_what_cannot_be_done_is_said(
    demo: Path, run: Run, tmp_path: Path, flags: list[str], code: int, message: str
) -> None:
    places = {"in": write_lines(tmp_path / "in", *(chat(f"r{i}") for i in range(20))), "out": tmp_path / "out"}
    done = run(demo, *(flag.format(**places) for flag in flags))
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def start(demo: Path, cache: Path, given: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [str(demo), "--batch", str(given), "-o", str(out)]
    return subprocess.Popen(command, env=clean_environment(cache), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for_size(path: Path, size: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None and (not path.exists() or path.stat().st_size < size):
        time.sleep(0.002)


def test_killed_ten_times_every_request_has_one_result(demo: Path, warm_cache: Path, run: Run, tmp_path: Path) -> None:
    count, chance = 500, random.Random(7)
    given = write_lines(tmp_path / "in", *(chat(f"r{i}", f"Tell me about {i}.", max_tokens=2) for i in range(count)))
    out = tmp_path / "out"
    sizes = []
    for _ in range(10):
        size = out.stat().st_size if out.exists() else 0
        with start(demo, warm_cache, given, out) as process:
            wait_for_size(out, size + chance.randrange(1, 16_000), process)
            assert process.poll() is None, "it was killed before its end"
            process.kill()
        sizes.append(out.stat().st_size)
    assert sizes == sorted(set(sizes)), "each run has gone on"
    done = run(demo, "--batch", given, "-o", out)
    assert done.returncode == 0, done.stderr
    names = [one["custom_id"] for one in results_in(out)]
    assert len(names) == count
    assert set(names) == {f"r{i}" for i in range(count)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_done(demo: Path, warm_cache: Path, tmp_path: Path, number: signal.Signals) -> None:
    lines = [chat(f"r{i}", "Tell me a story.", max_tokens=64, ignore_eos=True) for i in range(2000)]
    given, out = write_lines(tmp_path / "in", *lines), tmp_path / "out"
    with start(demo, warm_cache, given, out) as process:
        wait_for_size(out, 1, process)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == 130
    assert 0 < len(results_in(out)) < 2000
    assert f"{out}: {len(results_in(out)):,} answered, 0 failed; " in said
    assert "Traceback" not in said
