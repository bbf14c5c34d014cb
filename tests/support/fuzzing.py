"""What test_fuzz.py judges with: what the server says of itself, what an answer may be, and a stream beside it all."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from runtime.server.app import DIALECTS
from runtime.server.openapi import description
from support.bundles import Server

DESCRIPTION = description(DIALECTS)

STREAMS = {
    one["post"]["tags"][0]: path
    for path, one in reversed(DESCRIPTION["paths"].items())
    if "post" in one and len(one["post"]["responses"]["200"]["content"]) > 1
}
"""The first path of each dialect that streams."""


def fields_of(operation: Any) -> list[str]:
    """The names of the fields of its body; none, where that is a list or missing."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" not in schema:
        return []
    return sorted(DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"])


@dataclass(frozen=True)
class Answer:
    """What came back, and what for."""

    asked: str
    status: int
    kind: str
    content: bytes

    def __str__(self) -> str:
        return f"{self.status} {self.kind} {self.content[:300]!r} for {self.asked[:600]}"


def ask(server: Server, method: str, path: str, body: Any = b"") -> Answer:
    """`body` is sent as JSON unless it is bytes; something is put in place of the variable parts of `path`."""
    path = re.sub(r"{\w+}", "0", path)
    data = body if isinstance(body, bytes) else dumped(body)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, data)
        response = connection.getresponse()
        kind = response.headers.get_content_type()
        return Answer(f"{method} {path} {data[:600]!r}", response.status, kind, response.read())
    finally:
        connection.close()


def judge(answer: Answer, operation: Any) -> None:
    """Fails unless `operation` may answer so: what is not done (501) or not now (503) may be said, and no other 5xx."""
    assert answer.status < 500 or answer.status in (501, 503), answer
    if answer.status >= 400:
        assert answer.kind == "application/json", answer
        refusal = DESCRIPTION["components"]["responses"][operation["tags"][0]]["content"]["application/json"]
        assert jsonschema_rs.is_valid(refusal["schema"], json.loads(answer.content)), answer
        return
    assert answer.kind in operation["responses"]["200"]["content"], answer
    for document in _documents(answer):
        json.loads(document)


def _documents(answer: Answer) -> list[bytes]:
    """The JSON of an answer: one, or those of a stream."""
    if answer.kind == "application/json":
        return [answer.content]
    if answer.kind == "application/x-ndjson":
        return answer.content.splitlines()
    if answer.kind == "text/event-stream":
        data = [line[6:] for line in answer.content.split(b"\n") if line.startswith(b"data: ")]
        assert data, answer
        return [one for one in data if one != b"[DONE]"]
    return []


def dumped(value: Any) -> bytes:
    """As JSON, lone surrogates escaped; infinity as a number that is too large for a float."""
    return json.dumps(value).replace("Infinity", "1e400").encode("ascii")


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the parts of a JSON value are, itself included."""
    yield here
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*here, key))


def with_part(value: Any, place: tuple[Any, ...], part: Any) -> Any:
    """`value` with `part` at `place`."""
    if not place:
        return part
    changed = value.copy()
    changed[place[0]] = with_part(value[place[0]], place[1:], part)
    return changed


class Beside:
    """Asks the same question in a stream, over and over, while others are answered; every answer must be whole.

    It pauses in between, because it takes the processor from what draws the examples.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.expected = self._ask()
        self.answers = 0
        self.wrong: list[str] = []
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive(), "the stream hangs"

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            try:
                text = self._ask()
            except Exception as error:  # whatever it is, the test wants to say it
                text = repr(error)
            self.answers += 1
            if text != self.expected:
                self.wrong.append(text)

    def _ask(self) -> str:
        body = {"prompt": "The first man on the moon was", "temperature": 0, "n_predict": 40, "stream": True}
        return "".join(json.loads(data)["content"] for _when, data in self._server.stream("/completion", body))
