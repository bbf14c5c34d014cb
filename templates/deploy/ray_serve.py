"""Ray Serve: replicas of one bundle, as many as are needed, and each conversation with the one that has computed it.

    pip install 'ray[serve]==2.60.0'
    serve run ray_serve:application file=/opt/loaf/model.loaf most=4

`Door` takes HTTP in and asks a `Model` for the answer; each `Model` has the bundle as a child process, on a free port
of loopback. What is worth knowing of it: docs/scale.md.
"""

import asyncio
import ctypes
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel
from ray import serve
from ray.exceptions import ActorDiedError, ActorUnavailableError
from ray.serve import metrics
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import StreamingResponse
from yarl import URL

Headers = list[tuple[str, str]]


class Arguments(BaseModel):
    """What stands behind `serve run ray_serve:application`, as NAME=VALUE, or below `args` in a Serve config file.

    `flags` are further ones of the bundle. A replica is asked so many things `at_once`, and has so many processors and
    GPUs; there are `least` to `most` of them, and what one answers when it is to go has `drain_seconds`.
    """

    file: str
    flags: str = ""
    least: int = 1
    most: int = 4
    at_once: int = 16
    cpus: float = 1
    gpus: float = 0
    drain_seconds: int = 120


def application(arguments: Arguments) -> serve.Application:
    """What `serve run` and a Serve config file name."""
    model = Model.options(
        max_ongoing_requests=arguments.at_once,
        max_queued_requests=512,
        autoscaling_config=AutoscalingConfig(
            min_replicas=arguments.least,
            max_replicas=arguments.most,
            target_ongoing_requests=max(1, arguments.at_once // 2),
            downscale_delay_s=600,  # a replica that goes takes what it has computed with it
        ),
        # By the ring of hashes whose key is `session_id`. A replica whose hands are full gives to the next on the ring.
        request_router_config=RequestRouterConfig(
            request_router_class="ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
        ),
        ray_actor_options={"num_cpus": arguments.cpus, "num_gpus": arguments.gpus},
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=arguments.drain_seconds,
    )
    return Door.bind(model.bind(arguments.file, shlex.split(arguments.flags)))


# -- the door --------------------------------------------------------------------------------------------------------

_TRIES = 3
_OF_THE_CONNECTION = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
"""Headers that say how a body is sent, and go no further (RFC 9110, 7.6.1)."""
_OF_THE_REQUEST = _OF_THE_CONNECTION | {"content-length"}
"""The length is told anew."""
_OF_THE_ANSWER = _OF_THE_CONNECTION | {"date", "server", "x-request-id"}
"""Ray's own server says these; the request's id is the one that the bundle was told."""


@serve.deployment(max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0})
class Door:
    """Takes HTTP in, finds out whose conversation it is, and hands on what comes back, as it comes."""

    def __init__(self, model: DeploymentHandle) -> None:
        self._model = model.options(method_name="answer", stream=True)

    async def __call__(self, request: Request) -> StreamingResponse:
        body = await request.body()
        key = request.headers.get("x-session-id") or conversation_key(body)
        headers = [(name, value) for name, value in request.headers.items() if name not in _OF_THE_REQUEST]
        path = (request.scope.get("raw_path") or quote(request.url.path).encode()).decode("latin-1")
        for left in reversed(range(_TRIES)):
            pieces = self._model.options(session_id=key).remote(request.method, path, request.url.query, headers, body)
            try:
                status, answered = await anext(pieces)
            except (ActorDiedError, ActorUnavailableError):  # before anything was said: another replica says it
                if not left:
                    raise
            else:
                return _answer(status, answered, _handed_on(pieces))
        raise AssertionError("the last try returns or raises")


def _answer(status: int, headers: Headers, body: AsyncIterator[bytes]) -> StreamingResponse:
    response = StreamingResponse(body, status_code=status)
    response.raw_headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return response


async def _handed_on(pieces: Any) -> AsyncGenerator[bytes, None]:
    """The rest. Where the client leaves, so does who asks in its name: nothing is computed for nobody."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        pieces.cancel()


def conversation_key(body: bytes) -> str:
    """What all turns of a conversation begin with, and no other conversation, as haproxy.cfg says it; "" for none.

    The first message, and the second one too where the first is not the user's; the first item; of a text that is gone
    on with, the first 200 characters.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(asked, dict):
        return ""
    items = asked.get("messages") or asked.get("input")
    if isinstance(items, list) and items:
        first_is_users = isinstance(items[0], dict) and items[0].get("role") == "user"
        begins = json.dumps([_content(item) for item in items[: 1 if first_is_users else 2]])
    else:
        text = items or asked.get("prompt")
        begins = text[:200] if isinstance(text, str) else ""
    return hashlib.sha256(begins.encode()).hexdigest() if begins else ""


def _content(item: object) -> object:
    return item.get("content") if isinstance(item, dict) else item


# -- a replica -------------------------------------------------------------------------------------------------------

_START_SECONDS = 600
_STOP_SECONDS = 20
_METRICS_SECONDS = 5
_LOOPBACK = "127.0.0.1"
_SERVING = re.compile(r"Serving on http://127\.0\.0\.1:(\d+)")
_SAMPLE = re.compile(r"(?P<name>[\w:]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_libc = ctypes.CDLL(None)


@serve.deployment
class Model:
    """The bundle as a child process. Where it ends, this replica does, and Serve starts another one."""

    async def __init__(self, file: str, flags: list[str]) -> None:
        self._counters: dict[str, metrics.Counter] = {}
        self._gauges: dict[str, metrics.Gauge] = {}
        self._counted: dict[tuple[str, ...], float] = {}
        self._stops = False
        self._child = _started(file, flags)
        self._port = await _port_of(self._child)
        self._session = aiohttp.ClientSession(
            f"http://{_LOOPBACK}:{self._port}",
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            connector=aiohttp.TCPConnector(limit=0),
        )
        threading.Thread(target=self._watch, daemon=True).start()
        await asyncio.wait_for(self._ready(), _START_SECONDS)
        self._telling = asyncio.create_task(self._tell_metrics())

    async def answer(self, method: str, path: str, query: str, headers: Headers, body: bytes) -> AsyncIterator[Any]:
        """First (status, headers), then the body in pieces, as they come."""
        asked = self._session.request(
            method,
            # Not put together as text: a path that begins with two slashes would name another host.
            URL.build(scheme="http", host=_LOOPBACK, port=self._port, path=path, query_string=query, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )
        try:
            async with asked as answer:
                kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _OF_THE_ANSWER]
                yield answer.status, [*kept, ("x-replica", serve.get_replica_context().replica_id.unique_id)]
                async for piece in answer.content.iter_any():
                    yield piece
        except aiohttp.ClientConnectionError:
            self._end_if_the_child_has()
            raise

    async def check_health(self) -> None:
        """Asked by Serve, which starts another replica where this raises."""
        async with self._session.get("/health") as answer:
            if answer.status != 200:
                raise RuntimeError(f"/health says {answer.status}")

    def __del__(self) -> None:
        """Called by Serve when nothing is being answered any more."""
        self._stops = True
        self._child.terminate()
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()

    def _watch(self) -> None:
        self._child.wait()
        self._end_if_the_child_has()

    def _end_if_the_child_has(self) -> None:
        """End at once: whoever asks this replica learns that it is gone, and asks another."""
        if self._child.poll() is not None and not self._stops:
            print(f"the bundle has ended with {self._child.returncode}", flush=True)
            os._exit(1)

    async def _ready(self) -> None:
        while True:
            async with self._session.get("/health?ready") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.1)

    async def _tell_metrics(self) -> None:
        """Hand the child's /metrics to Ray, whose own names begin with ray_: llamacpp:a_b is ray_llamacpp_a_b there."""
        while True:
            with suppress(aiohttp.ClientError, OSError):
                async with self._session.get("/metrics") as answer:
                    for name, labels, value, counts in samples_in(await answer.text() if answer.status == 200 else ""):
                        self._tell(name, labels, value, counts)
            await asyncio.sleep(_METRICS_SECONDS)

    def _tell(self, name: str, labels: dict[str, str], value: float, counts: bool) -> None:
        if not counts:
            if name not in self._gauges:
                self._gauges[name] = metrics.Gauge(name, tag_keys=tuple(labels))
            self._gauges[name].set(value, tags=labels)
            return
        if name not in self._counters:
            self._counters[name] = metrics.Counter(name, tag_keys=tuple(labels))
        before = self._counted.get(key := (name, *labels.values()), 0.0)
        if value > before:
            self._counters[name].inc(value - before, tags=labels)
        self._counted[key] = value


def _started(file: str, flags: list[str]) -> subprocess.Popen[str]:
    command = [file, "--server", "--nobrowser", "--host", _LOOPBACK, "--port", "0", *flags]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=_end_with_us
    )


def _end_with_us() -> None:
    """Where this replica is killed, its child is told to end: PR_SET_PDEATHSIG of prctl(2)."""
    _libc.prctl(1, signal.SIGTERM)


async def _port_of(child: subprocess.Popen[str]) -> int:
    """The port that it says it serves on. What it says, then and later, is in the replica's log."""
    loop = asyncio.get_running_loop()
    port: asyncio.Future[int] = loop.create_future()

    def read() -> None:
        last = ""
        for line in child.stderr or ():
            print(line, end="", flush=True)
            last = line
            if found := _SERVING.search(line):
                loop.call_soon_threadsafe(_settle, port, int(found[1]))
        loop.call_soon_threadsafe(_settle, port, RuntimeError(f"the bundle has ended: {last.strip()}"))

    threading.Thread(target=read, daemon=True).start()
    return await asyncio.wait_for(port, _START_SECONDS)


def _settle(future: asyncio.Future[int], result: int | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def samples_in(text: str) -> Iterator[tuple[str, dict[str, str], float, bool]]:
    """(name, labels, value, whether it only grows) of each sample, in Prometheus' text format."""
    counters: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE ") and line.endswith(" counter"):
            counters.add(line.split()[2])
        elif found := _SAMPLE.fullmatch(line):
            name = found["name"]
            # Ray puts _total behind the names of its counters.
            ours = name.replace(":", "_").removesuffix("_total")
            yield ours, dict(_LABEL.findall(found["labels"] or "")), float(found["value"]), name in counters
