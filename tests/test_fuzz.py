"""What nobody would send: made from the server's own description, and by hand. Nothing of it is a bug of the server's.

Every answer must be a success, a refusal in the dialect's form, or what the server says it does not do; and a stream
that runs beside all this goes on as if nothing happened. scripts/fuzz draws more, and anew each time.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from bundles import Server
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oddities import GOOD, NO_REQUESTS, ODD
from schemathesis import GenerationMode

from runtime.server.app import DIALECTS, MAX_BODY
from runtime.server.openapi import description

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("LOAF_FUZZ_EXAMPLES", "0"))
drawn = settings(
    max_examples=EXAMPLES or 8,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
)

DESCRIPTION = description(DIALECTS)
API = schemathesis.openapi.from_dict(DESCRIPTION)


def operations() -> dict[str, Any]:
    """One for each handler, by method and path: its other paths go the same way."""
    found: dict[tuple[str, str, str], Any] = {}
    for result in API.get_all_operations():
        operation = result.ok()
        raw = DESCRIPTION["paths"][operation.path][operation.method]
        found.setdefault((operation.method, raw["tags"][0], raw["summary"]), operation)
    return {operation.label: operation for operation in found.values()}


def fields_of(body: dict[str, Any]) -> list[str]:
    """The names of a body's fields; none, if it is a list."""
    schema = body["content"]["application/json"]["schema"]
    name = schema["$ref"].rpartition("/")[2] if "$ref" in schema else None
    return sorted(DESCRIPTION["components"]["schemas"][name]["properties"]) if name else []


OPERATIONS = operations()
WITH_BODY = [label for label, one in OPERATIONS.items() if "requestBody" in one.definition.raw]
WITHOUT_BODY = [label for label in OPERATIONS if label not in WITH_BODY]
WITH_FIELDS = {
    label: fields for label in WITH_BODY if (fields := fields_of(OPERATIONS[label].definition.raw["requestBody"]))
}
POSTS = [path for path, one in DESCRIPTION["paths"].items() if "post" in one]
ONE_OF_EACH_DIALECT = {
    one["post"]["tags"][0]: path for path, one in DESCRIPTION["paths"].items() if "requestBody" in one.get("post", {})
}


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


@pytest.fixture(scope="module")
def fuzzed(demo: Path, warm_cache: Path) -> Iterator[Server]:
    """A server whose answers are short, with a stream beside that is judged at the end."""
    with Server(demo, "-n", "4", "--ctx-size", "512", "--threads", "1", cache=warm_cache) as server:
        beside = Beside(server)
        assert "Neil Armstrong" in beside.expected
        yield server
        beside.end()
        assert beside.answers > 0
        assert beside.wrong == []
        assert server.get("/health")[0] == 200
        assert "Traceback" not in "".join(server.said)


def judge(status: int, headers: Any, content: bytes, operation: Any) -> None:
    """Fails unless it is an answer that `operation` may give; 501 and 503 are: what is not done, or not now."""
    kind = (headers["Content-Type"] or "").partition(";")[0]
    said = f"{status} {kind} {content[:500]!r}"
    assert status < 500 or status in (501, 503), said
    responses = operation["responses"]
    if status >= 400:
        assert kind == "application/json", said
        refusal = DESCRIPTION["components"]["responses"][operation["tags"][0]]["content"]["application/json"]
        jsonschema_rs.validate(refusal["schema"], json.loads(content))
        return
    assert kind in responses["200"]["content"], said
    if kind == "application/json":
        json.loads(content)
    elif kind == "application/x-ndjson":
        assert [json.loads(line) for line in content.splitlines()], said
    elif kind == "text/event-stream":
        data = [line[6:] for line in content.split(b"\n") if line.startswith(b"data: ")]
        assert data, said
        assert [json.loads(one) for one in data if one != b"[DONE]"], said


def send(server: Server, method: str, path: str, body: bytes) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
@pytest.mark.parametrize("label", WITH_BODY)
def test_what_the_description_allows_and_forbids(fuzzed: Server, label: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[label]

    @drawn
    @given(operation.as_strategy(mode))
    def check(case: schemathesis.Case) -> None:
        response = case.call(base_url=fuzzed.url, timeout=60)
        kind = {"Content-Type": response.headers.get("content-type", [""])[0]}
        judge(response.status_code, kind, response.content, operation.definition.raw)

    check()


@pytest.mark.parametrize("label", WITHOUT_BODY)
def test_paths_without_a_body(fuzzed: Server, label: str) -> None:
    operation = OPERATIONS[label]

    @drawn
    @given(operation.as_strategy(GenerationMode.POSITIVE))
    def check(case: schemathesis.Case) -> None:
        response = case.call(base_url=fuzzed.url, timeout=60)
        kind = {"Content-Type": response.headers.get("content-type", [""])[0]}
        if response.request.method != "HEAD":
            judge(response.status_code, kind, response.content, operation.definition.raw)

    check()


def dumped(value: Any) -> bytes:
    """As JSON, lone surrogates escaped; infinity as a number that is too large for a float."""
    return json.dumps(value).replace("Infinity", "1e400").encode("ascii")


@pytest.mark.parametrize("label", WITH_FIELDS)
def test_a_good_request_with_some_odd_fields(fuzzed: Server, label: str) -> None:
    operation = OPERATIONS[label]
    fields = WITH_FIELDS[label]
    good = {name: value for name, value in GOOD.items() if name in fields}
    odd = st.dictionaries(st.sampled_from(fields), st.sampled_from(ODD), min_size=1, max_size=2)
    path = operation.path.replace("{slot}", "0")

    @settings(drawn, max_examples=4 * drawn.max_examples)
    @given(odd)
    def check(changes: dict[str, Any]) -> None:
        judge(*send(fuzzed, operation.method.upper(), path, dumped(good | changes)), operation.definition.raw)

    check()


@pytest.mark.parametrize("body", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_bodies_that_are_no_request(fuzzed: Server, body: bytes) -> None:
    for path in POSTS:
        judge(*send(fuzzed, "POST", path.replace("{slot}", "0"), body), DESCRIPTION["paths"][path]["post"])


@pytest.mark.parametrize("path", ONE_OF_EACH_DIALECT.values(), ids=ONE_OF_EACH_DIALECT)
def test_a_body_without_end_is_refused(fuzzed: Server, path: str) -> None:
    status, headers, content = send(fuzzed, "POST", path, b'{"model": "' + b"x" * MAX_BODY + b'"}')
    assert status == 413
    judge(status, headers, content, DESCRIPTION["paths"][path]["post"])


def test_schemas_that_are_deep(fuzzed: Server) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(400):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    for path, body in {
        "/completion": {"prompt": "x", "json_schema": schema},
        "/v1/messages": {
            "max_tokens": 2,
            "messages": GOOD["messages"],
            "tools": [{"name": "f", "input_schema": schema}],
        },
        "/v1/chat/completions": {
            "messages": GOOD["messages"],
            "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
        },
    }.items():
        judge(*send(fuzzed, "POST", path, dumped(body)), DESCRIPTION["paths"][path]["post"])


NO_ROUTES = ["/", "/nothing", "/v1", "/v1/messages/x", "/v1/messages", "/api/x", "/%00", "/%ff", "//", "/../x"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/v1", "/v1/messages/x", "/v1/messages", "/api/x", "/%00", "/%ff", "//", "/../x"]
)
def test_routes_and_methods_that_are_none(fuzzed: Server, method: str, path: str) -> None:
    status, headers, content = send(fuzzed, method, path, b"")
    assert status < 500
    if status >= 400 and method != "HEAD":
        assert "error" in json.loads(content), headers


def test_a_method_that_is_none(fuzzed: Server) -> None:
    """Refused before anybody can say whose it is."""
    assert send(fuzzed, "BREW", "/", b"")[0] == 400


@pytest.mark.parametrize("path", ONE_OF_EACH_DIALECT.values(), ids=ONE_OF_EACH_DIALECT)
def test_clients_that_leave(fuzzed: Server, path: str) -> None:
    """Before the body, in the middle of it, after it, and in the middle of the answer."""
    body = dumped(GOOD | {"stream": True, "max_tokens": 200})
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{fuzzed.port}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for sent in (head[:20], head, head + body[:10], head + body):
        for waits in (False, True):
            with socket.create_connection(("127.0.0.1", fuzzed.port), timeout=60) as raw:
                raw.sendall(sent)
                if waits and sent == head + body:
                    assert raw.recv(1)
    assert fuzzed.get("/health")[0] == 200


TEMPLATES = {
    "raises": "{{ raise_exception('no') }}",
    "loops": "{% for i in range(10**9) %}{% for j in range(10**9) %}x{% endfor %}{% endfor %}",
    "divides by zero": "{{ 1 / 0 }}",
    "looks around": "{{ messages.__class__.__mro__[1].__subclasses__() }}",
    "does not parse": "{% for %}",
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_templates_that_fail(demo: Path, warm_cache: Path, template: str) -> None:
    """Every dialect's conversations are refused in its form, and what needs no template is answered."""
    with Server(demo, "-n", "4", "--threads", "1", "--chat-template", template, cache=warm_cache) as server:
        for label, fields in WITH_FIELDS.items():
            if "messages" in fields:
                operation = OPERATIONS[label]
                good = {name: value for name, value in GOOD.items() if name in fields}
                status, headers, content = send(server, "POST", operation.path, dumped(good))
                assert status == 400, content
                judge(status, headers, content, operation.definition.raw)
        assert server.post("/completion", {"prompt": "The"})[0] == 200
