"""What nobody would send: made from the server's own description, and by hand. Nothing of it is a bug of the server's.

Every answer must be a success, a refusal in the dialect's form, or what the server says it does not do; and a stream
that runs beside all this goes on as if nothing happened. scripts/fuzz draws more, and anew each time.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from runtime.server.app import MAX_BODY
from support.bundles import Server
from support.fuzzing import DESCRIPTION, STREAMS, Answer, Beside, ask, dumped, fields_of, judge, places, with_part
from support.oddities import GOOD, NO_REQUESTS, ODD, ODDEST
from support.rich_requests import RICH

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


def operations() -> dict[str, Any]:
    """One for each handler, by method and path: its other paths go the same way."""
    found: dict[tuple[str, str, str], Any] = {}
    for result in schemathesis.openapi.from_dict(DESCRIPTION).get_all_operations():
        operation = result.ok()
        raw = operation.definition.raw
        found.setdefault((operation.method, raw["tags"][0], raw["summary"]), operation)
    return {operation.label: operation for operation in found.values()}


OPERATIONS = operations()
WITH_FIELDS = {label: fields for label, one in OPERATIONS.items() if (fields := fields_of(one.definition.raw))}
MODES = [
    (label, mode)
    for label, one in OPERATIONS.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or "requestBody" in one.definition.raw
]


@pytest.fixture(scope="module")
def fuzzed(demo: Path, warm_cache: Path) -> Iterator[Server]:
    """A server whose answers are short, with a stream beside that is judged at the end."""
    with Server(demo, "-n", "4", "--ctx-size", "512", "--threads", "1", "--props", cache=warm_cache) as server:
        beside = Beside(server)
        assert "Neil Armstrong" in beside.expected
        yield server
        beside.end()
        assert beside.answers > 0
        assert beside.wrong == []
        assert server.get("/health")[0] == 200
        assert "Traceback" not in "".join(server.said)


@pytest.mark.parametrize(("label", "mode"), MODES, ids=[f"{label}-{mode.name.lower()}" for label, mode in MODES])
def test_what_the_description_allows_and_forbids(fuzzed: Server, label: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[label]

    @drawn
    @given(operation.as_strategy(mode))
    def check(case: schemathesis.Case) -> None:
        response = case.call(base_url=fuzzed.url, timeout=60)
        kind = response.headers.get("content-type", [""])[0].partition(";")[0]
        if response.request.method != "HEAD":
            judge(
                Answer(case.as_curl_command(), response.status_code, kind, response.content), operation.definition.raw
            )

    check()


@pytest.mark.parametrize("label", WITH_FIELDS)
def test_a_good_request_with_some_odd_fields(fuzzed: Server, label: str) -> None:
    operation = OPERATIONS[label]
    fields = WITH_FIELDS[label]
    good = {name: value for name, value in GOOD.items() if name in fields}

    @settings(drawn, max_examples=4 * drawn.max_examples)
    @given(st.dictionaries(st.sampled_from(fields), st.sampled_from(ODD), min_size=1, max_size=2))
    def check(changes: dict[str, Any]) -> None:
        judge(ask(fuzzed, operation.method.upper(), operation.path, good | changes), operation.definition.raw)

    check()


@pytest.mark.parametrize(("path", "body"), RICH, ids=[f"{path}-{i}" for i, (path, _body) in enumerate(RICH)])
def test_a_rich_request_with_an_odd_part(fuzzed: Server, path: str, body: Any) -> None:
    """Every part of it is once each of the oddest things; of others, as many as time allows."""
    operation = DESCRIPTION["paths"][path]["post"]
    answer = ask(fuzzed, "POST", path, body)
    assert answer.status in (200, 501), answer
    for place in places(body):
        for part in ODDEST:
            judge(ask(fuzzed, "POST", path, with_part(body, place, part)), operation)

    @settings(drawn, max_examples=4 * drawn.max_examples)
    @given(st.sampled_from(list(places(body))), st.sampled_from(ODD))
    def check(place: tuple[Any, ...], part: Any) -> None:
        judge(ask(fuzzed, "POST", path, with_part(body, place, part)), operation)

    check()


@pytest.mark.parametrize("body", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_bodies_that_are_no_request(fuzzed: Server, body: bytes) -> None:
    for path, one in DESCRIPTION["paths"].items():
        if "post" in one:
            judge(ask(fuzzed, "POST", path, body), one["post"])


@pytest.mark.parametrize("path", STREAMS.values(), ids=STREAMS)
def test_a_body_without_end_is_refused(fuzzed: Server, path: str) -> None:
    answer = ask(fuzzed, "POST", path, b'{"model": "' + b"x" * MAX_BODY + b'"}')
    assert answer.status == 413
    judge(answer, DESCRIPTION["paths"][path]["post"])


def test_schemas_that_are_deep(fuzzed: Server) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(400):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    messages = GOOD["messages"]
    named = {"type": "json_schema", "json_schema": {"schema": schema}}
    for path, body in {
        "/completion": {"prompt": "x", "json_schema": schema},
        "/v1/messages": {"max_tokens": 2, "messages": messages, "tools": [{"name": "f", "input_schema": schema}]},
        "/v1/chat/completions": {"messages": messages, "response_format": named},
        "/api/chat": {"messages": messages, "format": schema},
    }.items():
        judge(ask(fuzzed, "POST", path, body), DESCRIPTION["paths"][path]["post"])


NO_ROUTES = ["/", "/nothing", "/v1", "/v1/messages/x", "/v1/messages", "/api/x", "/%00", "/%ff", "//", "/../x"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", NO_ROUTES)
def test_routes_and_methods_that_are_none(fuzzed: Server, method: str, path: str) -> None:
    answer = ask(fuzzed, method, path)
    assert answer.status < 500, answer
    if answer.status >= 400 and method != "HEAD":
        assert "error" in json.loads(answer.content), answer


def test_a_method_that_is_none(fuzzed: Server) -> None:
    """Refused before anybody can say whose it is."""
    assert ask(fuzzed, "BREW", "/").status == 400


@pytest.mark.parametrize("path", STREAMS.values(), ids=STREAMS)
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
                needless = ("input", "content")  # which vectors are made of without a template
                good = {name: value for name, value in GOOD.items() if name in fields and name not in needless}
                answer = ask(server, "POST", operation.path, good)
                assert answer.status == 400, answer
                judge(answer, operation.definition.raw)
        assert server.post("/completion", {"prompt": "The"})[0] == 200
