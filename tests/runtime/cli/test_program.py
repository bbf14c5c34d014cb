"""The demo bundle as a program: flags, one-shot answers, start and stop."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.bundle import open_bundle
from support.bundles import Server, clean_environment, loaf
from support.waiting import wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PATH_MAX = 4096
MOON = "The first man on the moon was"


def test_version(demo: Path, run: Run) -> None:
    result = run(demo, "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(r"demo\.loaf, loaf \d+\.\d+\.\d+\n", result.stdout)


def test_help_names_every_flag_with_its_default(demo: Path, run: Run) -> None:
    text = run(demo, "--help").stdout
    for flag in ("--server", "--nobrowser", "--host", "--port", "--prompt", "--raw", "--model", "--info"):
        assert flag in text
    assert "default: 8080" in text


def test_info(demo: Path, run: Run) -> None:
    text = run(demo, "--info").stdout
    assert "llama-cpp-python 0.3.36" in text
    assert open_bundle(demo).manifest.build_id[:16] in text


def test_a_raw_prompt_is_continued(demo: Path, run: Run) -> None:
    result = run(demo, "-p", MOON, "--raw", "--temp", "0")
    assert result.returncode == 0
    assert "Neil Armstrong" in result.stdout
    assert result.stderr == ""


def test_a_prompt_is_a_user_s_message(demo: Path, run: Run) -> None:
    assert "Neil Armstrong" in run(demo, "-p", "Who was the first man on the moon?", "--temp", "0").stdout


def test_n_predict_limits_the_answer(demo: Path, run: Run) -> None:
    full = run(demo, "-p", MOON, "--raw", "--temp", "0").stdout
    short = run(demo, "-p", MOON, "--raw", "--temp", "0", "-n", "2").stdout
    assert full.startswith(short.rstrip("\n"))
    assert len(short) < len(full)


def test_outside_weights_are_loaded_instead(demo: Path, demo_gguf: Path, run: Run) -> None:
    assert "Neil Armstrong" in run(demo, "-m", demo_gguf, "-p", MOON, "--raw", "--temp", "0").stdout


@pytest.mark.parametrize(
    "flags",
    [
        "--no-mmap",
        "--mlock",
        "--no-repack",
        "-b 64 -ub 32",
        "-fa off",
        "-ctk q8_0 -ctv q8_0 -fa on",
        "-c 256 -np 2 -t 1",
    ],
)
def test_how_the_model_is_held_does_not_change_what_it_says(demo: Path, run: Run, flags: str) -> None:
    result = run(demo, *flags.split(), "-p", MOON, "--raw", "--temp", "0")
    assert "Neil Armstrong" in result.stdout, result.stderr


FAILURES: list[tuple[str, list[str], int, str]] = [
    ("settings that do not go together", ["-ctv", "q8_0", "-fa", "off", "-p", "x"], 1, "flash_attn"),
    ("an unknown flag, with the nearest", ["--prt", "80"], 2, "--port"),
    ("a context too small for the prompt", ["-c", "5", "-p", "x " * 500, "--raw"], 1, "context"),
    ("a context beyond all memory", ["-c", "2000000000", "-p", "x"], 1, "it needs 3,072.0 GB, and"),
    ("a context beyond numbers", ["-c", "4294967297", "-p", "x"], 2, "--ctx-size"),
    ("a port that is none", ["--port", "99999"], 2, "65535"),
    ("a number that is none", ["--temp", "hot"], 2, "hot"),
    ("an argument too many", ["hello"], 2, "hello"),
    ("weights that are not there", ["-m", "/no/such.gguf", "-p", "x"], 1, "/no/such.gguf: No such file"),
    ("weights that are none", ["-m", "/etc/passwd", "-p", "x"], 1, "cannot load these weights"),
    ("a host that is none", ["--server", "--nobrowser", "--host", "no.such.host.invalid"], 1, "--host"),
]


@pytest.mark.parametrize(("flags", "code", "says"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
def test_failures_are_told(demo: Path, run: Run, flags: list[str], code: int, says: str) -> None:
    result = run(demo, *flags)
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_truncated_weights_are_told(demo: Path, demo_gguf: Path, run: Run, tmp_path: Path) -> None:
    short = tmp_path / "short.gguf"
    short.write_bytes(demo_gguf.read_bytes()[:-100_000])
    result = run(demo, "-m", short, "-p", "x")
    assert result.returncode == 1
    assert "short.gguf: llama.cpp cannot load these weights" in result.stderr


@pytest.fixture(scope="module")
def with_args(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with default arguments, one of them after the user's."""
    target = tmp_path_factory.mktemp("args") / "args.loaf"
    text = f"--temp 0 --raw\n-n 3 # short\n-p '{MOON}' ... --seed 7"
    loaf("build", "demo", "-o", str(target), "--args", text, check=True)
    return target


def test_baked_arguments_are_defaults(with_args: Path, demo: Path, run: Run, warm_cache: Path) -> None:
    baked = run(with_args).stdout
    assert baked == run(demo, "-p", MOON, "--raw", "--temp", "0", "-n", "3").stdout
    assert len(run(with_args, "-n", "8").stdout) > len(baked), "a flag overrides .args"
    environment = clean_environment(warm_cache, LOAF_N_PREDICT="8")
    assert len(run(with_args, env=environment).stdout) > len(baked), "the environment overrides .args"
    assert run(with_args, "-n", "3", env=environment).stdout == baked, "a flag overrides the environment"


def test_variables_do_not_answer_for_flags_that_end_the_program(demo: Path, run: Run, warm_cache: Path) -> None:
    environment = clean_environment(warm_cache, LOAF_VERSION="1", LOAF_HELP="1", LOAF_INFO="1")
    assert "Neil Armstrong" in run(demo, "-p", MOON, "--raw", "--temp", "0", env=environment).stdout


def test_standard_input_may_be_closed(demo: Path, warm_cache: Path) -> None:
    command = f"'{demo}' -p x --raw -n 1 <&-"
    result = subprocess.run(["sh", "-c", command], env=clean_environment(warm_cache), capture_output=True)
    assert result.returncode == 0, result.stderr


def test_a_reader_that_leaves_ends_it_quietly(demo: Path, warm_cache: Path) -> None:
    command = f"'{demo}' -p 'Tell me a long story.' --raw | head -c 1"
    result = subprocess.run(["sh", "-c", command], env=clean_environment(warm_cache), capture_output=True, timeout=60)
    assert result.stderr == b""


def test_ctrl_c_ends_an_answer(demo: Path, warm_cache: Path) -> None:
    process = subprocess.Popen(
        [demo, "-p", "x", "--raw", "--temp", "5", "--ctx-size", "100000"],
        env=clean_environment(warm_cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _out, error = process.communicate(timeout=10)
    assert process.returncode in (0, 130)
    assert b"Traceback" not in error


def test_a_server_maps_the_bundle_and_unpacks_only_the_program(demo: Path, tmp_path: Path) -> None:
    with Server(demo, cache=tmp_path) as server:
        assert server.post("/completion", {"prompt": MOON, "n_predict": 1})[0] == 200
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert str(demo) in maps
        assert ".gguf" not in maps
        unpacked = [path.name for path in tmp_path.rglob("*") if path.is_file()]
        assert not [name for name in unpacked if name.endswith(".gguf")]
        written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink())
        copy = sum(path.stat().st_size for path in tmp_path.glob("core-*/loaf-runtime.*"))  # for the other C library
        assert written <= open_bundle(demo).manifest.runtimes[0].unpacked_size + copy + PATH_MAX


def test_a_busy_port_is_named_with_the_flag(demo: Path, run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(demo, "--server", "--nobrowser", "--port", str(port))
    assert result.returncode == 1
    assert f"127.0.0.1:{port}" in result.stderr
    assert "--port" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_stops_an_idle_server(demo: Path, warm_cache: Path, number: signal.Signals) -> None:
    with Server(demo, cache=warm_cache) as server:
        server.process.send_signal(number)
        assert server.process.wait(timeout=5) == 0
    assert "Traceback" not in "".join(server.said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_stops_a_server_that_is_still_starting(demo: Path, warm_cache: Path, number: signal.Signals) -> None:
    """From the moment the engine's library is there, which is before the server listens."""
    process = subprocess.Popen(
        [demo, "--server", "--nobrowser", "--port", "0"], env=clean_environment(warm_cache), stderr=subprocess.PIPE
    )
    wait_until(lambda: "libllama" in Path(f"/proc/{process.pid}/maps").read_text())
    process.send_signal(number)
    _out, error = process.communicate(timeout=10)
    assert (process.returncode, b"Traceback" in error) == (0, False), error


def test_a_signal_lets_short_answers_finish(demo: Path, warm_cache: Path) -> None:
    with Server(demo, cache=warm_cache) as server:
        answers: list[int] = []
        body = {"prompt": "The", "n_predict": 40, "ignore_eos": True}
        asking = threading.Thread(target=lambda: answers.append(server.post("/completion", body)[0]))
        asking.start()
        wait_until(lambda: established(server.port))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0
        asking.join(10)
    assert answers in ([200], [503])


def test_a_signal_ends_long_answers(demo: Path, warm_cache: Path) -> None:
    body = b'{"prompt":"The","ignore_eos":true,"stream":true}'
    with (
        Server(demo, "--ctx-size", "1000000", cache=warm_cache) as server,
        socket.create_connection(("127.0.0.1", server.port)) as raw,
    ):
        raw.sendall(b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert raw.recv(1000).startswith(b"HTTP/1.1 200")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0


def test_it_answers_from_the_first_moment(demo: Path, warm_cache: Path) -> None:
    """Nobody who connects is turned away: 503 while the model loads, then 200 (test_loading.py makes it wait)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    seen: list[int] = []

    def is_ready() -> bool:
        seen.append(health(port))
        return seen[-1] == 200

    command = [demo, "--server", "--nobrowser", "--port", str(port)]
    process = subprocess.Popen(command, env=clean_environment(warm_cache), stderr=subprocess.DEVNULL)
    try:
        wait_until(is_ready)
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert set(seen) <= {0, 503, 200}


def test_the_page_is_opened_where_there_is_a_display(demo: Path, warm_cache: Path, tmp_path: Path) -> None:
    """A stand-in for the browser writes down the address and the library path it was given."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1 ${{LD_LIBRARY_PATH-unset}}" >{tmp_path}/opened.part\n'
                       f"mv {tmp_path}/opened.part {tmp_path}/opened\n")  # fmt: skip
    browser.chmod(0o755)
    environment = clean_environment(warm_cache, DISPLAY=":99", BROWSER=str(browser))
    environment.pop("LD_LIBRARY_PATH", None)
    process = subprocess.Popen([demo, "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        address = next(match[0] for line in process.stderr if (match := re.search(r"http://\S+", line)))
        wait_until((tmp_path / "opened").exists)
        assert (tmp_path / "opened").read_text() == f"{address} unset\n"
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0


def health(port: int) -> int:
    """The status of /health; 0 while nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return int(raw.recv(100).split()[1])
    except ConnectionError:
        return 0


def established(port: int) -> bool:
    """Whether a client is connected to `port` (state 01 of /proc/net/tcp)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)
