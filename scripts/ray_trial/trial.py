"""What is tried: answers as they are without Ray, conversations that come back, replicas that come and go.

Runs where Ray is installed (`__main__.py`), and imports nothing of this project but what is tried. Knows Linux's /proc.
"""

from __future__ import annotations

import collections
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import Message
from pathlib import Path

import openai
import ray
import ray_serve
from ray import serve

CONVERSATIONS, TURNS = 8, 3
PATIENCE = 90.0


class Failed(Exception):
    """Something did not hold."""


def main(file: Path) -> int:
    port, metrics_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="ray-") as folder, environment(LOAF_CACHE_DIR=f"{folder}/cache"):
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=folder,
            _metrics_export_port=metrics_port,
        )
        try:
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            front = Front(file, port, metrics_port)
            front.scale(2)
            for trial in (answers, streams, comes_back, leaves, metrics, bundle_killed, replica_killed, drains):
                began = time.monotonic()
                said = trial(front)
                print(
                    f"  held  {trial.__name__.replace('_', ' '):<16} {time.monotonic() - began:5.1f} s  {said}",
                    flush=True,
                )
        except (Failed, RuntimeError) as error:
            print(f"  FAILED  {error}")
            for log in sorted(Path(folder).glob("session_latest/logs/serve/*.log")):
                print(f"-- {log.name}\n{log.read_text()[-3000:]}")
            return 1
        finally:
            serve.shutdown()
            ray.shutdown()
    wait(lambda: not children_of(file), "the bundles end with Ray")
    return 0


class Front:
    """The application, and how it is asked."""

    def __init__(self, file: Path, port: int, metrics_port: int) -> None:
        self.file = file
        self.url = f"http://127.0.0.1:{port}"
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE)

    def scale(self, count: int) -> None:
        """Have so many replicas, and wait for them."""
        arguments = ray_serve.Arguments(
            file=str(self.file), flags="--threads 1 --parallel 8", least=count, most=count, at_once=16, cpus=0.5
        )
        serve.run(ray_serve.application(arguments))
        wait(lambda: len(children_of(self.file)) == count, f"{count} replicas run")
        wait(lambda: len(self.replicas()) == count, f"{count} replicas answer")

    def replicas(self) -> set[str]:
        """Those that answer, found by asking as many different conversations."""
        return {self.replica(f"find {number}") for number in range(24)} - {""}

    def replica(self, session: str) -> str:
        status, headers, _body = self.ask("/health", session=session)
        return headers.get("x-replica", "") if status == 200 else ""

    def ask(self, path: str, body: object = None, session: str = "") -> tuple[int, dict[str, str], bytes]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | ({"X-Session-Id": session} if session else {})
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + path, data, headers), timeout=PATIENCE
            ) as answer:
                return answer.status, _once_each(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, _once_each(error.headers), error.read()


def _once_each(headers: Message) -> dict[str, str]:
    """By their names in small letters; none may come twice."""
    found = [(name.lower(), value) for name, value in headers.items()]
    doubled = [name for name, count in collections.Counter(name for name, _ in found).items() if count > 1]
    expect(not doubled, f"no header comes twice: {doubled}")
    return dict(found)


def answers(front: Front) -> str:
    """Statuses, headers and bodies are the bundle's."""
    expect(front.ask("/v1/models")[0] == 200, "models are told")
    status, headers, body = front.ask("/v1/chat/completions", {"messages": []})
    expect(status == 400 and "error" in json.loads(body), f"an error stays one: {status}")
    expect(headers["content-type"].startswith("application/json"), f"its type stays: {headers}")
    for path in ("/no/such", "//no.such.host/health"):
        expect(front.ask(path)[0] == 404, f"what is not there is not: {path}")
    status, headers, _body = front.ask("/tokenize", {"content": "word " * 100_000})
    expect(status == 200, f"a large body goes through: {status}")
    return ""


def streams(front: Front) -> str:
    """Tokens come one by one."""
    began, times, text = time.monotonic(), [], ""
    stream = front.client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": "Tell me about the moon."}],
        max_tokens=400,
        stream=True,
        extra_body={"ignore_eos": True},  # an answer of its own length may come within a millisecond
    )
    for chunk in stream:
        times.append(time.monotonic() - began)
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    expect(
        len(times) > 10 and len({round(one, 3) for one in times}) > 5, f"it streams: {len(times)} pieces, {times[:5]}"
    )
    return f"{len(times)} pieces, the first after {times[0]:.3f} s, the last after {times[-1]:.3f} s"


def comes_back(front: Front) -> str:
    """Each conversation stays with its replica, which computes nothing twice."""
    with ThreadPoolExecutor(CONVERSATIONS) as pool:
        spoken = list(pool.map(lambda number: conversation(front, number), range(CONVERSATIONS)))
    expect(all(len(one.replicas) == 1 for one in spoken), f"each at one replica: {[one.replicas for one in spoken]}")
    expect(len(set.union(*(one.replicas for one in spoken))) == 2, "not all of them at the same")
    reused, known = sum(one.reused for one in spoken), sum(one.known for one in spoken)
    expect(reused >= 0.9 * known, f"{reused} of {known} tokens are reused")
    return f"{reused} of {known} known tokens reused ({reused / known:.0%})"


class Spoken:
    """What became of a conversation: of `known` tokens that were in turns before, so many were `reused`."""

    def __init__(self) -> None:
        self.replicas: set[str] = set()
        self.known = 0
        self.reused = 0


def conversation(front: Front, number: int) -> Spoken:
    spoken, total = Spoken(), 0
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": f"Let us talk about the number {number}. What do you know of the moon?"},
    ]
    for _ in range(TURNS):
        answer = front.client.chat.completions.with_raw_response.create(model="any", messages=messages, max_tokens=24)  # type: ignore[call-overload]
        spoken.replicas.add(answer.headers["x-replica"])
        parsed = answer.parse()
        usage = parsed.usage
        spoken.known += total
        spoken.reused += min(total, usage.prompt_tokens_details.cached_tokens)
        total = usage.total_tokens
        messages += [
            {"role": "assistant", "content": parsed.choices[0].message.content},
            {"role": "user", "content": "And what else?"},
        ]
    return spoken


def leaves(front: Front) -> str:
    """Who leaves in the middle leaves nothing running."""
    asked = endless("leaves")
    with opened(front, asked, "leaves") as stream:
        stream.read1(100)
    wait(lambda: not any(slot["is_processing"] for slot in slots(front, "leaves")), "its slot is free again")
    return ""


def metrics(front: Front) -> str:
    """The bundles' figures are among Ray's, for each replica."""
    name = "ray_llamacpp_tokens_predicted_total{"

    def told() -> set[str]:
        with urllib.request.urlopen(front.metrics_url, timeout=10) as answer:
            lines = [line for line in answer.read().decode().splitlines() if line.startswith(name)]
        return {line.partition('replica="')[2].partition('"')[0] for line in lines if float(line.split()[-1]) > 0}

    wait(lambda: len(told()) == 2, "both replicas' tokens are told")
    return name[:-1]


def bundle_killed(front: Front) -> str:
    """The process of a bundle is killed while both answer: others take over at once, and another one comes."""
    return _killed(front, lambda child: child)


def replica_killed(front: Front) -> str:
    """Ray's own process of a replica is killed: its bundle ends with it."""
    return _killed(front, parent_of)


def _killed(front: Front, victim: Callable[[int], int]) -> str:
    before = children_of(front.file)
    failed, answered, stopped = collections.Counter[str](), collections.Counter[str](), threading.Event()

    def ask_on(number: int) -> None:
        turn = 0
        while not stopped.is_set():
            turn += 1
            body = {"messages": [{"role": "user", "content": f"talk {number} {turn}"}], "max_tokens": 8}
            try:
                status, headers, _body = front.ask("/v1/chat/completions", body)
                (answered if status == 200 else failed)[str(status) if status != 200 else headers["x-replica"]] += 1
            except OSError as error:
                failed[repr(error)] += 1

    askers = [threading.Thread(target=ask_on, args=(number,)) for number in range(4)]
    for asker in askers:
        asker.start()
    time.sleep(2)
    killed_at = time.monotonic()
    os.kill(victim(min(before)), signal.SIGKILL)
    wait(lambda: min(before) not in children_of(front.file), "its bundle ends")
    wait(lambda: len(children_of(front.file) - before) == 1, "another one is started")
    wait(lambda: len(front.replicas()) == 2, "it answers")
    seconds = time.monotonic() - killed_at
    stopped.set()
    for asker in askers:
        asker.join()
    expect(sum(failed.values()) <= len(askers), f"only what it was answering may fail: {dict(failed)}")
    return f"back after {seconds:.1f} s; {sum(answered.values())} answered meanwhile, {sum(failed.values())} failed"


def drains(front: Front) -> str:
    """Who is answered while its replica is taken away is answered to the end."""
    ended: list[str] = []

    def ask(number: int) -> None:
        body = {"prompt": f"{number}", "n_predict": 300, "ignore_eos": True}
        status, _headers, content = front.ask("/completion", body, session=f"drain {number}")
        ended.append(f"{status} {json.loads(content).get('tokens_predicted')}" if status == 200 else str(status))

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for asker in askers:
        asker.start()
    time.sleep(1)
    front.scale(1)
    for asker in askers:
        asker.join()
    expect(ended == ["200 300"] * 8, f"all are answered to the end: {ended}")
    return "8 of 8"


def endless(session: str) -> dict[str, object]:
    return {"prompt": session, "n_predict": 2000, "ignore_eos": True, "stream": True}


@contextmanager
def opened(front: Front, body: object, session: str) -> Iterator[urllib.request.http.client.HTTPResponse]:  # type: ignore[name-defined]
    headers = {"Content-Type": "application/json", "X-Session-Id": session}
    request = urllib.request.Request(f"{front.url}/completion", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        yield answer


def slots(front: Front, session: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(front.ask("/slots", session=session)[2])
    return found


def children_of(file: Path) -> set[int]:
    """The processes that serve `file`: those that were told so in their environment."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = (folder / "environ").read_bytes().split(b"\0")
            serves = b"--server" in (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if serves and f"LOAF_BUNDLE={file}".encode() in told:
            found.add(int(folder.name))
    return found


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def environment(**more: str) -> Iterator[None]:
    os.environ |= more
    yield


def wait(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {PATIENCE:.0f} s")
        time.sleep(0.2)


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise Failed(what)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
