"""What a request is called in its answer: by the client's name for it where that is one."""

from __future__ import annotations

import re

import pytest

from support.bundles import Server
from support.raw_http import ask

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("name", ["a", "req_01HZX", "a-b_c.d:e/f+g=h@i", "x" * 128])
@pytest.mark.parametrize("path", ["/health", "/nowhere", "/v1/models"])
def test_it_is_the_clients(server: Server, path: str, name: str) -> None:
    assert ask(server.port, path, X_Request_Id=name)[1]["x-request-id"] == name


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "a;b", "ä".encode().decode("latin-1"), '"a"', "<script>"])
def test_or_one_of_ours_each_time_another(server: Server, name: str) -> None:
    names = {ask(server.port, "/health", X_Request_Id=name)[1]["x-request-id"] for _ in range(2)}
    assert len(names) == 2
    assert all(re.fullmatch(r"[0-9a-f]{16}", one) for one in names)


def test_a_trace_goes_on(server: Server) -> None:
    headers = ask(server.port, "/health", traceparent=f"00-{TRACE}-{SPAN}-01")[1]
    match = re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-01", headers["traceresponse"])
    assert match is not None
    assert match[1] != SPAN


NO_TRACES = [
    f"01-{TRACE}-{SPAN}-01",
    f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE.upper()}-{SPAN}-01",
    f"00-{TRACE}-{SPAN}-01-more",
    f"00-{TRACE}-{SPAN}",
    "x",
]


@pytest.mark.parametrize("given", NO_TRACES)
def test_what_is_no_trace_is_left_out(server: Server, given: str) -> None:
    assert "traceresponse" not in ask(server.port, "/health", traceparent=given)[1]
