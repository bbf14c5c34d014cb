"""Who may call the real bundle: by which names, from which web pages, with which keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.server.access import host_of, is_loopback
from support.bundles import Server
from support.raw_http import PAGE, ask, exchange

# -- names and pages ------------------------------------------------------------------------------------------

NAMES: list[tuple[str, bool]] = [
    ("localhost", True),
    ("LocalHost.", True),
    ("models.localhost", True),
    ("127.0.0.1", True),
    ("127.8.9.10", True),
    ("::1", True),
    ("::ffff:127.0.0.1", True),
    ("0.0.0.0", False),
    ("::", False),
    ("192.168.1.5", False),
    ("localhost.example.org", False),
    ("mylocalhost", False),
    ("127.0.0.1.example.org", False),
    ("127.1", False),
    ("", False),
]


@pytest.mark.parametrize(("name", "is_it"), NAMES, ids=[row[0] or "empty" for row in NAMES])
def test_names_of_loopback(name: str, is_it: bool) -> None:
    assert is_loopback(name) is is_it


def test_a_host_s_port_is_not_its_name() -> None:
    cases = {"a:1": "a", "A": "a", "[::1]:80": "::1", "[::1]": "::1", "": "", ":80": "", "a:b@c": "a"}
    assert {authority: host_of(authority) for authority in cases} == cases


HOSTS: list[tuple[str, int]] = [
    ("localhost", 200),
    ("localhost:1234", 200),
    ("127.0.0.1:9", 200),
    ("[::1]:80", 200),
    ("rebound.example", 403),
    ("rebound.example:8080", 403),
    ("localhost@rebound.example", 403),
    ("192.168.1.5:8080", 403),
    ("é", 403),
]


@pytest.mark.parametrize(("host", "status"), HOSTS, ids=[row[0] for row in HOSTS])
def test_on_loopback_only_its_names_are_served(server: Server, host: str, status: int) -> None:
    """A page whose name is made to resolve to 127.0.0.1 is of the same origin as itself, whatever it asks."""
    got, _headers, answer = ask(server.port, Host=host, Origin=f"http://{host}")
    assert got == status, answer
    if status == 403:
        assert json.loads(answer)["error"]["type"] == "permission_error"


def test_a_host_in_the_request_line_counts(server: Server) -> None:
    request = b"GET http://rebound.example/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert exchange(server.port, request).startswith(b"HTTP/1.1 403 ")


ORIGINS: list[tuple[str, int]] = [
    ("http://localhost:{port}", 200),
    ("https://LOCALHOST:{port}", 200),
    ("http://localhost:1", 403),
    ("http://127.0.0.1:{port}", 403),
    ("https://page.example", 403),
    ("null", 403),
    ("", 403),
    ("file://", 403),
    ("chrome-extension://localhost:{port}", 403),
]


@pytest.mark.parametrize(("origin", "status"), ORIGINS, ids=[row[0] or "empty" for row in ORIGINS])
def test_other_pages_are_refused(server: Server, origin: str, status: int) -> None:
    """Even where a browser asks no leave first, which it does not for a POST of plain text."""
    origin = origin.format(port=server.port)
    body = b'{"prompt": "The", "n_predict": 1}'
    headers = {"Host": f"localhost:{server.port}", "Origin": origin, "Content_Type": "text/plain"}
    got, answer_headers, answer = ask(server.port, "/completion", "POST", body, **headers)
    assert got == status, answer
    assert not [name for name in answer_headers if name.startswith("access-control-")]


def test_a_preflight_of_another_page_is_refused(server: Server) -> None:
    status, headers, _answer = ask(
        server.port, "/completion", "OPTIONS", Origin=PAGE, Access_Control_Request_Method="POST"
    )
    assert status == 403
    assert not [name for name in headers if name.startswith("access-control-")]


# -- keys and allowed pages -----------------------------------------------------------------------------------

KEYS: list[tuple[dict[str, str], int]] = [
    ({}, 401),
    ({"Authorization": "Bearer swordfish"}, 200),
    ({"Authorization": "bearer  perch"}, 200),
    ({"Authorization": "Bearer from-a-file"}, 200),
    ({"X_Api_Key": "perch"}, 200),
    ({"Authorization": "Bearer wrong", "X_Api_Key": "perch"}, 200),
    ({"Authorization": "Bearer swordfis"}, 401),
    ({"Authorization": "Bearer swordfish,perch"}, 401),
    ({"Authorization": "Bearer "}, 401),
    ({"Authorization": "swordfish"}, 401),
    ({"Authorization": "Basic swordfish"}, 401),
    ({"X_Api_Key": ""}, 401),
    ({"X_Api_Key": "é\udc80".encode("utf-8", "surrogateescape").decode("latin-1")}, 401),
]


@pytest.mark.parametrize(("headers", "status"), KEYS, ids=[json.dumps(row[0]) for row in KEYS])
def test_a_key_is_asked_for(guarded: tuple[Server, Path], headers: dict[str, str], status: int) -> None:
    got, answer_headers, answer = ask(guarded[0].port, **headers)
    assert got == status, answer
    if status == 401:
        error = {"message": "Invalid API Key", "type": "authentication_error", "code": 401}
        assert json.loads(answer) == {"error": error}
        assert answer_headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/health", "/v1/health", "/", "/docs", "/openapi.json", "//", "/health/"])
def test_health_and_pages_are_public(guarded: tuple[Server, Path], path: str) -> None:
    assert ask(guarded[0].port, path)[0] == 200


@pytest.mark.parametrize(
    "path", ["//slots/", "/health/slots", "/slots", "/v1/models?x=/health", "/nothing", "/%2e%2e/slots"]
)
def test_nothing_else_is(guarded: tuple[Server, Path], path: str) -> None:
    assert ask(guarded[0].port, path)[0] == 401


def test_an_allowed_page_may_ask(guarded: tuple[Server, Path]) -> None:
    port = guarded[0].port
    asked = {"Origin": PAGE, "Access_Control_Request_Method": "POST"}
    wanted = "authorization,content-type"
    status, headers, answer = ask(port, "/completion", "OPTIONS", **asked, Access_Control_Request_Headers=wanted)
    assert (status, answer) == (204, "")
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-headers"] == wanted
    assert "POST" in headers["access-control-allow-methods"]
    assert headers["vary"] == "Origin"
    body = b'{"prompt": "The", "n_predict": 1, "stream": true}'
    status, headers, _answer = ask(port, "/completion", "POST", body, Origin=PAGE, Authorization="Bearer perch")
    assert (status, headers["access-control-allow-origin"]) == (200, PAGE)
    status, headers, _answer = ask(port, Origin=PAGE)
    assert (status, headers["access-control-allow-origin"]) == (401, PAGE), "the page may read why"
    status, headers, _answer = ask(port, Origin="https://other.example", Authorization="Bearer perch")
    assert (status, headers.get("access-control-allow-origin"), headers["vary"]) == (403, None, "Origin")


def test_the_name_of_an_allowed_page_may_be_asked(guarded: tuple[Server, Path]) -> None:
    """A proxy on this machine passes on the name that it was asked by."""
    assert ask(guarded[0].port, "/health", Host="page.example")[0] == 200
    assert ask(guarded[0].port, "/health", Host="other.example")[0] == 403


def test_any_page_may_ask_where_the_user_says_so(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--cors-origins", "*", "--no-ui", cache=warm_cache) as server:
        status, headers, _answer = ask(server.port, Origin=PAGE, Host="any.name.example")
        assert (status, headers["access-control-allow-origin"]) == (200, "*")
        assert ask(server.port, "/")[0] == 404


def test_pages_of_this_machine_may_ask_where_the_user_says_so(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--cors-origins", "localhost", cache=warm_cache) as server:
        for origin in ("http://localhost:3000", "https://localhost", "http://127.0.0.1:5173", "http://[::1]:80"):
            status, headers, _answer = ask(server.port, Origin=origin)
            assert (status, headers["access-control-allow-origin"]) == (200, origin)
        for origin in ("http://localhost.example:80", "http://192.168.1.2:80", PAGE, "null"):
            assert ask(server.port, Origin=origin)[0] == 403
