"""Workers: two of them serve a model as one machine would, and what is said where one is not there, lies, or dies."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.bundles import Server
from support.strangers import devices, hello, peer, saying
from support.waiting import wait_until
from support.workers import Worker, wait_until_said

MOON = {"prompt": "The first man on the moon was", "temperature": 0, "n_predict": 24}
CHAT = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def two(demo: Path, warm_cache: Path) -> Iterator[str]:
    """Two workers on loopback, as `--rpc` names them."""
    with (
        Worker(demo, "--port", "0", cache=warm_cache) as one,
        Worker(demo, "--port", "0", cache=warm_cache) as other,
    ):
        yield f"{one.address},{other.address.replace('127.0.0.1', 'localhost')}"


def test_two_workers_say_the_same_as_one_machine(demo: Path, warm_cache: Path, two: str, server: Server) -> None:
    with Server(demo, "--rpc", two, cache=warm_cache) as spread:
        said = "".join(spread.said)
        one, other = two.split(",")
        assert f"On RPC0 ({one}) and RPC1 ({other}): all 5 layers" in said
        assert spread.post("/completion", MOON)[1]["content"] == server.post("/completion", MOON)[1]["content"]
        assert server.post("/completion", MOON)[1]["content"].startswith(streamed(spread, MOON | {"n_predict": 8}))
        assert spread.post("/v1/embeddings", {"input": "moon"})[0] == 200
        for port in (int(address.rpartition(":")[2]) for address in (one, other)):
            wait_until(lambda port=port: probed(port) == {"server", "worker"}, 60)  # type: ignore[misc]


def probed(port: int) -> set[str]:
    """Which ends of the connection to `port` ask by themselves whether the other one is there (proc_net_tcp.rst)."""
    ends = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _number, local, remote, state, _queues, timer = line.split()[:6]
        if state == "01" and timer.startswith("02"):  # established, and a keep-alive timer
            ends |= {"worker"} if int(local[9:], 16) == port else set()
            ends |= {"server"} if int(remote[9:], 16) == port else set()
    return ends


def streamed(server: Server, body: dict[str, object]) -> str:
    return "".join(json.loads(data)["content"] for _came, data in server.stream("/completion", body))


def test_several_models_share_the_workers(several: Path, warm_cache: Path, two: str) -> None:
    with Server(several, "--rpc", two, cache=warm_cache) as spread:
        assert "".join(spread.said).count("On RPC0") == 3
        assert spread.post("/completion", MOON)[0] == 200
        assert spread.post("/v1/embeddings", {"model": "embed", "input": "moon"})[0] == 200


def test_shares_and_layers_are_kept_to(demo: Path, two: str, run: Run) -> None:
    """Both workers have been left by the server before, so they are free again."""
    result = run(demo, "--rpc", two, "-ngl", "3", "-ts", "1,2", "-p", MOON["prompt"], "--raw", "--temp", "0")
    assert "Neil Armstrong" in result.stdout
    assert (result.returncode, result.stderr) == (0, "")
    result = run(demo, "--rpc", two, "-ts", "1,2,3", "-p", "x")
    assert (result.returncode, "3 shares for 2" in result.stderr) == (1, True)


def test_list_devices(demo: Path, two: str, run: Run) -> None:
    lines = run(demo, "--list-devices", "--rpc", two).stdout.splitlines()
    assert re.fullmatch(r"RPC0: 127\.0\.0\.1:\d+ \(\d+ MiB, \d+ MiB free\), a worker", lines[0])
    assert lines[1].startswith("RPC1: localhost:")
    assert len(lines) == 2


def test_a_worker_that_dies_in_mid_stream(demo: Path, warm_cache: Path, two: str, server: Server) -> None:
    """And comes again: then the server, which has told everybody until then, begins anew."""
    survivor, port = two.split(",")[0], free_port()
    with (
        Worker(demo, "--port", "0", cache=warm_cache) as worker,
        Server(demo, "--rpc", f"{survivor},{worker.address}", "--port", str(port), cache=warm_cache) as spread,
    ):
        lost = f"the worker {worker.address} is lost"
        events = events_until_killed(spread, worker)
        assert "content" in events[0]
        assert events[-1]["error"]["code"] == 503
        assert lost in events[-1]["error"]["message"]
        for path, body in (("/completion", MOON), ("/v1/chat/completions", CHAT), ("/v1/messages", CHAT),
                           ("/api/chat", CHAT), ("/v1/embeddings", {"input": "x"})):  # fmt: skip
            status, answer = spread.post(path, body)
            assert (status, lost in json.dumps(answer)) == (503, True), path
        for path in ("/health", "/v1/health", "/props", "/slots", "/metrics"):
            status, answer = spread.get(path)
            assert (status, lost in json.dumps(answer)) == (503, True), path
        assert "degraded" in spread.get("/health")[1]["error"]["message"]
        wait_until_said(spread, f"error: {lost}")
        with Worker(demo, "--port", worker.address.partition(":")[2], cache=warm_cache):
            wait_until_said(spread, "All workers answer again: beginning anew")
            wait_until_said(spread, "Serving on", times=2)
            assert spread.get("/health")[0] == 200
            assert spread.post("/completion", MOON)[1]["content"] == server.post("/completion", MOON)[1]["content"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        return int(reserved.getsockname()[1])


def events_until_killed(server: Server, worker: Worker) -> list[dict[str, Any]]:
    """The events of a stream during which `worker` is killed, after the first of them."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    endless = MOON | {"n_predict": 100_000, "ignore_eos": True, "stream": True}
    connection.request("POST", "/completion", json.dumps(endless))
    events = []
    for line in connection.getresponse():
        if line.startswith(b"data: "):
            worker.process.kill()
            events.append(json.loads(line.removeprefix(b"data: ")))
    connection.close()
    return events


def test_a_worker_that_dies_while_nothing_is_computed(demo: Path, warm_cache: Path) -> None:
    with (
        Worker(demo, "--port", "0", cache=warm_cache) as worker,
        Server(demo, "--rpc", worker.address, cache=warm_cache) as server,
    ):
        worker.process.kill()
        wait_until_said(server, f"error: the worker {worker.address} is lost")
        assert server.post("/completion", MOON)[0] == 503
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_ends_at_a_signal(demo: Path, warm_cache: Path, number: signal.Signals) -> None:
    with Worker(demo, "--port", "0", cache=warm_cache) as worker:
        worker.process.send_signal(number)
        assert worker.process.wait(timeout=20) == 0


REFUSED = [
    ("--host 0.0.0.0", "--worker-insecure"),
    ("--host ::1", "IPv4"),
    ("--host no.such.host.invalid", "IPv4"),
    ("--host 127.0.0.1,127.0.0.2", "one address"),
    ("--host x.sock", "IPv4"),
]


@pytest.mark.parametrize(("flags", "says"), REFUSED, ids=[row[0] for row in REFUSED])
def test_where_no_worker_listens(demo: Path, run: Run, flags: str, says: str) -> None:
    result = run(demo, "--worker", *flags.split(), "--port", "0")
    assert (result.returncode, says in result.stderr) == (1, True), result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken(demo: Path, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(demo, "--worker", "--port", str(taken.getsockname()[1]))
    assert (result.returncode, "another program listens there" in result.stderr) == (1, True)


def test_a_server_whose_worker_is_not_there_does_not_start(demo: Path, run: Run) -> None:
    port = free_port()
    for flags in (["-p", "x"], ["--server", "--nobrowser", "--port", "0"], ["--list-devices"]):
        result = run(demo, *flags, "--rpc", f"127.0.0.1:{port}")
        assert result.returncode == 1
        assert f"the worker 127.0.0.1:{port} cannot be used: nothing listens there" in result.stderr
        assert f"--worker --port {port}" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_worker_that_is_lost_while_the_model_loads(demo: Path, run: Run) -> None:
    """One that answers what it is asked, and then lets nobody in."""
    answers = iter([saying(hello(), *devices((2**30, 2**30)))])
    with peer(lambda connection: next(answers, lambda _connection: None)(connection)) as address:
        result = run(demo, "-p", "x", "--rpc", str(address))
    assert (result.returncode, f"the worker {address} is lost" in result.stderr) == (1, True), result.stderr
    assert "Traceback" not in result.stderr


# -- machines of their own ----------------------------------------------------------------------------------------


@pytest.fixture
def networks() -> Iterator[tuple[str, str]]:
    """The names of two network namespaces, with the addresses 10.213.0.2 and 10.213.1.2; this one is .1 in both."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    names = (f"loaf-{os.getpid()}-a", f"loaf-{os.getpid()}-b")
    try:
        for i, name in enumerate(names):
            link = f"loaf{os.getpid() % 100_000}{'ab'[i]}"
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("addr", "add", f"10.213.{i}.1/24", "dev", link)
            ip("link", "set", link, "up")
            ip("-n", name, "addr", "add", f"10.213.{i}.2/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def test_workers_on_other_machines(
    demo: Path, warm_cache: Path, networks: tuple[str, str], server: Server, run: Run
) -> None:
    flags = ("--worker-insecure", "--port", "50052")
    inside = [("ip", "netns", "exec", name) for name in networks]
    with (
        Worker(demo, "--host", "10.213.0.2", *flags, cache=warm_cache, inside=inside[0]),
        Worker(demo, "--host", "10.213.1.2", *flags, cache=warm_cache, inside=inside[1]),
        Server(demo, "--rpc", "10.213.0.2:50052,10.213.1.2", cache=warm_cache) as spread,
    ):
        assert "RPC1 (10.213.1.2:50052): all 5 layers" in "".join(spread.said)
        assert spread.post("/completion", MOON)[1]["content"] == server.post("/completion", MOON)[1]["content"]
    result = run(demo, "--list-devices", "--rpc", "10.213.0.2")
    assert "the worker 10.213.0.2:50052 cannot be used: nothing listens there" in result.stderr
