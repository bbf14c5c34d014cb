"""A model that nobody asks is unloaded, and loaded again for the next: as a process, confined as servers are."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from support.bundles import CHAT, DEMO_GGUF, Server
from support.from_source import program_in
from support.processes import memory_of
from support.waiting import wait_until

PROMPT = "The first man on the moon was the first to see it whole, and he said so to all who would hear of it. " * 8
ASLEEP_BYTES = 60 * 10**6

Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server of weights of its own, in `tmp_path`, with more flags."""
    weights = tmp_path / "weights.gguf"
    shutil.copy(DEMO_GGUF, weights)
    servers: list[Server] = []

    def start(*flags: str) -> Server:
        server = Server(program_in(tmp_path), "-m", str(weights), *flags, cache=tmp_path)
        servers.append(server.__enter__())
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def is_asleep(server: Server) -> bool:
    status, props = server.get("/props")
    assert status == 200
    return bool(props["is_sleeping"])


def wait_asleep(server: Server) -> None:
    wait_until(lambda: is_asleep(server))


def answer(server: Server, **more: Any) -> dict[str, Any]:
    status, body = server.post("/completion", {"prompt": PROMPT, "n_predict": 4, "temperature": 0, **more})
    assert status == 200, body
    return dict(body)


def test_it_sleeps_when_nobody_asks_and_wakes_for_who_does(start: Start) -> None:
    server = start("--sleep-idle-seconds", "0")
    first = answer(server)
    wait_asleep(server)
    for path in ("/health", "/metrics", "/slots", "/v1/models", "/api/tags", "/props", "/lora-adapters", "/"):
        assert server.get(path)[0] == 200, path
    assert server.post("/api/show", {"model": "weights"})[0] == 200
    assert server.get("/api/ps")[1] == {"models": []}
    assert is_asleep(server), "to look wakes nobody"
    assert memory_of(server.process.pid) < ASLEEP_BYTES
    again = answer(server)
    assert again["content"] == first["content"]
    assert again["timings"]["cache_n"] > 0, "its prefix was kept"
    assert server.get("/metrics")[1].count("\n") > 10


def test_it_sleeps_before_anybody_has_asked(start: Start) -> None:
    server = start("--sleep-idle-seconds", "1")
    wait_asleep(server)
    assert answer(server)["content"]


@pytest.mark.parametrize(
    "path", ["/tokenize", "/v1/embeddings", CHAT, "/api/generate", "/v1/messages", "/apply-template"]
)
def test_whatever_needs_it_wakes_it(start: Start, path: str) -> None:
    server = start("--sleep-idle-seconds", "0")
    said = [{"role": "user", "content": "Hi"}]
    body = {"content": "x", "input": "x", "messages": said, "prompt": "x", "model": "weights", "max_tokens": 4}
    for _time in range(2):
        wait_asleep(server)
        assert server.post(path, body)[0] == 200


def test_at_the_moment_it_falls_asleep_all_are_answered(start: Start) -> None:
    server = start("--sleep-idle-seconds", "0")
    expected = answer(server)["content"]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _number: answer(server)["content"], range(40)))
    assert found == [expected] * 40
    wait_asleep(server)


def test_it_does_not_sleep_while_it_answers(start: Start) -> None:
    server = start("--sleep-idle-seconds", "0")
    events: list[tuple[float, str]] = []
    body = {"prompt": "x", "n_predict": 400, "ignore_eos": True}
    asking = threading.Thread(target=lambda: events.extend(server.stream("/completion", body)))
    asking.start()
    while asking.is_alive():
        assert server.post("/tokenize", {"content": "x"})[0] == 200
    assert len(events) > 300
    wait_asleep(server)


def test_saved_slots_are_restored_after_a_sleep(start: Start, tmp_path: Path) -> None:
    (tmp_path / "slots").mkdir()
    server = start("--sleep-idle-seconds", "1", "--slot-save-path", str(tmp_path / "slots"))
    answer(server, id_slot=0)
    assert server.post("/slots/0?action=save", {"filename": "state"})[0] == 200
    wait_asleep(server)
    status, body = server.post("/slots/0?action=restore", {"filename": "state"})
    assert (status, body["n_restored"] > 0) == (200, True)
    assert answer(server, id_slot=0)["timings"]["cache_n"] > 0


def test_conversations_are_kept_on_disk(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    flags = ("--sleep-idle-seconds", "0", "--cache-ram", "0", "--cache-disk", f"{folder}=10M")
    server = start(*flags)
    expected = answer(server)["content"]
    wait_asleep(server)
    (kept,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, kept.stat().st_mode & 0o777) == (0o700, 0o600)
    assert answer(server)["timings"]["cache_n"] > 0
    wait_asleep(server)
    after_another_start = start(*flags)
    assert answer(after_another_start)["timings"]["cache_n"] > 0
    wait_asleep(after_another_start)
    data = kept.read_bytes()
    for wrong in (data[:-1], data[:-1] + bytes([data[-1] ^ 1]), b""):
        kept.write_bytes(wrong)
        again = start(*flags)
        assert answer(again)["content"] == expected
        wait_until(lambda again=again: any("is not used, and removed" in line for line in again.said))  # type: ignore[misc]
        wait_asleep(again)
    assert len(list(folder.iterdir())) == 1


def test_a_folder_that_others_look_into_is_none_for_conversations(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    command = [program_in(tmp_path), "-m", DEMO_GGUF, "--server", "--port", "0", "--cache-disk", f"{tmp_path}=1G"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "others may look into this folder" in done.stderr


def test_where_it_cannot_be_loaded_again_the_server_lives(start: Start, tmp_path: Path) -> None:
    server = start("--sleep-idle-seconds", "0")
    weights = tmp_path / "weights.gguf"
    wait_asleep(server)
    weights.rename(tmp_path / "elsewhere")
    for _time in range(2):
        status, body = server.post("/completion", {"prompt": "x", "n_predict": 1})
        assert (status, "cannot be loaded again" in body["error"]["message"]) == (503, True), body
    assert server.get("/health")[0] == 200
    (tmp_path / "elsewhere").rename(weights)
    assert answer(server)["content"]
    wait_asleep(server)
    os.utime(weights, (1, 1))
    status, body = server.post("/completion", {"prompt": "x", "n_predict": 1})
    assert (status, "has changed" in body["error"]["message"]) == (503, True), body


@pytest.mark.parametrize("wakes", [False, True], ids=["asleep", "while it wakes"])
def test_it_ends_when_it_is_told_to(start: Start, wakes: bool) -> None:
    server = start("--sleep-idle-seconds", "0")
    wait_asleep(server)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.post, "/tokenize", {"content": "x"}) if wakes else None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0, server.said
    if asked is not None and asked.exception() is None:  # else it was too late to be taken
        assert asked.result()[0] in (200, 503)


def test_ollama_s_keep_alive_is_kept_to(start: Start) -> None:
    server = start()

    def ask(keep_alive: Any) -> dict[str, Any]:
        status, body = server.post("/api/generate", {"model": "weights", "keep_alive": keep_alive})
        assert status == 200, body
        return dict(body)

    def expires_in() -> timedelta:
        (running,) = server.get("/api/ps")[1]["models"]
        return datetime.fromisoformat(running["expires_at"].replace("Z", "+00:00")) - datetime.now(timezone.utc)

    assert expires_in() > timedelta(days=365)
    assert ask("5m")["done_reason"] == "load"
    assert timedelta(minutes=4) < expires_in() <= timedelta(minutes=5)
    assert ask(0)["done_reason"] == "unload"
    wait_asleep(server)
    assert ask(-1)["done_reason"] == "load"
    assert not is_asleep(server)
    assert expires_in() > timedelta(days=365)
    assert server.post("/api/embed", {"model": "weights", "input": "x", "keep_alive": "0s"})[0] == 200
    wait_asleep(server)
    assert answer(server)["content"]
    assert expires_in() > timedelta(days=365), "what is said holds until it is unloaded"
    assert not is_asleep(server)


def test_of_several_only_so_many_are_loaded(several: Path, warm_cache: Path) -> None:
    with Server(several, "--models-max", "1", cache=warm_cache) as server:

        def loaded() -> list[str]:
            return [one["name"] for one in server.get("/api/ps")[1]["models"]]

        assert loaded() == []
        assert len(server.get("/v1/models")[1]["data"]) == 3
        assert server.post("/v1/embeddings", {"model": "embed", "input": "x"})[0] == 200
        assert loaded() == ["embed:latest"]
        chat = {"model": "demo", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
        assert server.post(CHAT, chat)[0] == 200
        assert loaded() == ["demo:latest"]
        rank = {"model": "ranker", "query": "x", "documents": ["x", "y"]}
        asked: list[tuple[str, dict[str, Any]]] = [
            ("/v1/embeddings", {"model": "embed", "input": "x"}), (CHAT, chat), ("/v1/rerank", rank)
        ] * 5  # fmt: skip
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda one: server.post(*one)[0], asked))
        assert found == [200] * len(asked)
        assert len(loaded()) == 1
