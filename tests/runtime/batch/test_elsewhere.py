"""`--batch` by servers that run already: each line once, whatever becomes of them."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from runtime.batch.elsewhere import of_servers
from runtime.batch.errors import ServerRefuses, ServersUnreachable
from runtime.batch.progress import Failures
from runtime.console.aside import Aside
from runtime.server.wire import Answered, Ask
from runtime.settings import Secret
from support.batches import batch_process, chat, results_in, wait_for_size, write_lines
from support.bundles import Server

Respond = Callable[[str, bytes], tuple[int, str]]
"""Of a path and a body: a status and further headers."""


class Answering:
    """A server on loopback that answers at once as `respond` says; where that raises, it breaks off."""

    def __init__(self, respond: Respond, slots: int = 2) -> None:
        self.respond = respond
        self.bodies: list[bytes] = []
        self.heads: list[str] = []
        self._slots = slots

    async def started(self, stack: AsyncExitStack) -> str:
        """Its address, until `stack` ends."""
        server = await stack.enter_async_context(await asyncio.start_server(self._serve, "127.0.0.1", 0))
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = head.partition("Content-Length: ")[2].partition("\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                path, content, status, headers = head.split(" ")[1], b"{}", 200, ""
                if path == "/props":
                    content = json.dumps({"total_slots": self._slots}).encode()
                elif body:
                    status, headers = self.respond(path, body)
                    self.bodies.append(body)
                    content = b'{"error": {"message": "so it is"}}' if status >= 400 else body
                self.heads.append(head)
                writer.write(
                    f"HTTP/1.1 {status} x\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode() + content
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def always(_path: str, _body: bytes) -> tuple[int, str]:
    return 200, ""


def with_servers(
    body: Callable[[Ask], Awaitable[None]],
    *servers: Answering,
    gone: int = 0,
    key: str = "",
    at_once: int | None = None,
) -> None:
    """Run `body` with a way to ask them all, and so many addresses where nobody is."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            urls = [await server.started(stack) for server in servers]
            urls += [f"http://127.0.0.1:{port}" for port in range(1, gone + 1)]
            answering = of_servers(urls, Secret(key) if key else None, at_once)
            answerer = await stack.enter_async_context(answering(Aside(), Failures(Aside())))
            await asyncio.wait_for(body(answerer.ask), 30)

    asyncio.run(main())


def line(number: int, begins: int = 0) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": f"talk {begins}"}], "seed": number}).encode()


async def all_of(ask: Ask, bodies: list[bytes]) -> list[Answered]:
    return await asyncio.gather(*(ask("/v1/chat/completions", body) for body in bodies))


BODIES = [line(number, number % 7) for number in range(70)]


def test_every_line_is_answered_once_and_what_begins_alike_by_one() -> None:
    servers = [Answering(always, slots=64) for _ in range(3)]

    async def body(ask: Ask) -> None:
        answers = await all_of(ask, BODIES)
        assert [answer.body for answer in answers] == BODIES

    with_servers(body, *servers, key="swordfish")
    assert sorted(done for server in servers for done in server.bodies) == sorted(BODIES)
    begun = [{done.partition(b"seed")[0] for done in server.bodies} for server in servers]
    assert sum(map(len, begun)) == 7
    assert all("\r\nAuthorization: Bearer swordfish\r\n" in head for server in servers for head in server.heads)


def test_nobody_stands_idle_where_all_begins_alike() -> None:
    servers = [Answering(always, slots=1) for _ in range(3)]

    async def body(ask: Ask) -> None:
        await all_of(ask, [line(number) for number in range(90)])

    with_servers(body, *servers)
    assert min(len(server.bodies) for server in servers) > 10


@pytest.mark.parametrize("says", ["breaks off", "502", "503", "503 later", "429 later"])
def test_others_do_what_one_does_not(says: str) -> None:
    """Whatever it says instead, once or always."""

    def failing(_path: str, _body: bytes) -> tuple[int, str]:
        if says == "breaks off":
            raise ConnectionError
        status, _, later = says.partition(" ")
        return int(status), "Retry-After: 1\r\n" if later else ""

    good, bad = Answering(always), Answering(failing)

    async def body(ask: Ask) -> None:
        answers = await all_of(ask, BODIES)
        assert {answer.status for answer in answers} == {200}

    with_servers(body, good, bad, gone=1)
    assert sorted(good.bodies) == sorted(BODIES)


def test_one_that_comes_back_is_asked_again() -> None:
    tries = Counter[bytes]()

    def once(_path: str, body: bytes) -> tuple[int, str]:
        tries[body] += 1
        if tries[body] == 1:
            raise ConnectionError
        return 200, ""

    async def body(ask: Ask) -> None:
        answers = await all_of(ask, BODIES[:3])
        assert {answer.status for answer in answers} == {200}

    with_servers(body, Answering(once))


def test_a_line_that_ends_servers_is_given_up() -> None:
    def poisoned(_path: str, body: bytes) -> tuple[int, str]:
        if body == BODIES[0]:
            raise ConnectionError
        return 200, ""

    async def body(ask: Ask) -> None:
        answers = await all_of(ask, BODIES)
        assert [answer.status for answer in answers] == [502] + [200] * (len(BODIES) - 1)
        assert b"4 times the connection" in answers[0].body

    with_servers(body, *(Answering(poisoned, slots=1) for _ in range(5)))


def test_a_wrong_key_ends_it() -> None:
    async def body(ask: Ask) -> None:
        with pytest.raises(ServerRefuses, match="401: so it is"):
            await ask("/v1/chat/completions", BODIES[0])

    with_servers(body, Answering(lambda _path, _body: (401, "")))


def test_where_nobody_answers_it_does_not_begin() -> None:
    async def body(_ask: Ask) -> None:
        raise AssertionError("it has begun")

    with pytest.raises(ServersUnreachable, match=r"no server answers: http://127\.0\.0\.1:1: Connection refused"):
        with_servers(body, gone=1)


def test_a_server_that_is_killed_loses_no_line(demo: Path, warm_cache: Path, tmp_path: Path) -> None:
    """The real ones, over the real file; and the same command goes on after an interruption."""
    count = 120
    lines = [chat(f"r{i}", f"Tell me about {i % 6}.", max_tokens=24, ignore_eos=True, seed=i) for i in range(2000)]
    many, given, out = write_lines(tmp_path / "many", *lines), tmp_path / "in", tmp_path / "out"
    write_lines(given, *lines[:count])
    with Server(demo, cache=warm_cache) as one, Server(demo, cache=warm_cache) as two:
        flags = ["--batch-servers", f"{one.url},{two.url}"]
        with batch_process(demo, warm_cache, many, out, *flags) as process:
            wait_for_size(out, 2000, process)
            process.send_signal(signal.SIGTERM)
            process.communicate()
        assert process.returncode == 130
        before = results_in(out)
        with batch_process(demo, warm_cache, given, out, *flags) as process:
            wait_for_size(out, out.stat().st_size + 2000, process)
            two.process.kill()
            said = process.communicate()[1].decode()
    assert process.returncode == 0, said
    assert f"{two.url}: " in said
    results = results_in(out)
    assert results[: len(before)] == before
    assert sorted(result["custom_id"] for result in results) == sorted(f"r{i}" for i in range(count))
    assert {result["response"]["status_code"] for result in results} == {200}
