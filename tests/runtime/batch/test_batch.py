"""`--batch` of the real bundle: what the server answers, wherever results go, and however often it is interrupted."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.batches import batch_process, chat, results_in, wait_for_size, write_lines
from support.bundles import Run, Server, clean_environment

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


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_results_are_what_the_server_answers(
    demo: Path, run: Run, server: Server, tmp_path: Path, elsewhere: bool
) -> None:
    given, out = write_lines(tmp_path / "in.jsonl", *MIXED), tmp_path / "out.jsonl"
    flags = ["--batch-servers", server.url] if elsewhere else []
    done = run(demo, "--batch", given, "-o", out, *flags)
    results = results_in(out)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{out}: 5 answered, 5 failed; " in done.stderr
    assert f"error: 5 of 10 requests failed\nTheir lines in {out} say why; without those lines, " in done.stderr
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
    again = run(demo, "--batch", given, "-o", out, *flags)
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
    ("servers and no batch", ["--batch-servers", "http://a:1"], 2, "--batch FILE and --output FILE belong together"),
    ("no address", ["--batch", "{in}", "-o", "{out}", "--batch-servers", "a:1"], 2, "'a:1' is no address of a server"),
    ("no port", ["--batch", "{in}", "-o", "{out}", "--batch-servers", "http://a:70000"], 2, "70000"),
    ("one twice", ["--batch", "{in}", "-o", "{out}", "--batch-servers", "http://a,http://a"], 2, "named twice"),
    ("no server", ["--batch", "{in}", "-o", "{out}", "--batch-servers", "http://127.0.0.1:1"], 1, "no server answers"),
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


def test_killed_ten_times_every_request_has_one_result(demo: Path, warm_cache: Path, run: Run, tmp_path: Path) -> None:
    count, chance = 500, random.Random(7)
    given = write_lines(tmp_path / "in", *(chat(f"r{i}", f"Tell me about {i}.", max_tokens=2) for i in range(count)))
    out = tmp_path / "out"
    sizes = []
    for _ in range(10):
        size = out.stat().st_size if out.exists() else 0
        with batch_process(demo, warm_cache, given, out) as process:
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
    with batch_process(demo, warm_cache, given, out) as process:
        wait_for_size(out, 1, process)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == 130
    assert 0 < len(results_in(out)) < 2000
    assert f"{out}: {len(results_in(out)):,} answered, 0 failed; " in said
    assert "Traceback" not in said
