"""Where the server is found: addresses, paths and names as clients, proxies and orchestrators write them."""

from __future__ import annotations

import http.client
import json
import socket
import stat
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cli.lists import Origins as OriginsFlag
from runtime.cli.main import command
from runtime.server.access import Origins, own_names
from runtime.server.app import DIALECTS
from runtime.server.paths import plain_path
from support.bundles import Server


def ask(port: int, path: str, method: str = "GET", body: bytes = b"", host: str = "127.0.0.1", **headers: str) -> Any:
    """(status, headers, body as it came)."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


# -- paths ------------------------------------------------------------------------------------------------------

PATHS: list[tuple[str, str]] = [
    ("/", "/"), ("//", "/"), ("/health", "/health"), ("/health/", "/health"), ("//health", "/health"),
    ("/v1//models//", "/v1/models"), ("/v1/models/a%2F%2Fb/", "/v1/models/a%2F%2Fb"), ("/../x/", "/../x"),
    ("/llm", "/llm"), ("/llm/", "/llm"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "plain"), PATHS)
def test_slashes_too_many(path: str, plain: str) -> None:
    assert plain_path(path, "/") == plain


def test_the_slash_of_the_root_stays() -> None:
    assert [plain_path(path, "/llm/") for path in ("/llm/", "//llm//", "/llm", "/llm/v1/")] == [
        "/llm/",
        "/llm/",
        "/llm",
        "/llm/v1",
    ]


@given(st.lists(st.sampled_from(["", "a", "..", "%2F", "health"]), max_size=6).map("/".join))
def test_a_plain_path_stays_as_it_is(parts: str) -> None:
    plain = plain_path(f"/{parts}", "/")
    assert plain_path(plain, "/") == plain
    assert "//" not in plain
    assert [part for part in plain.split("/") if part] == [part for part in parts.split("/") if part]


SPELLINGS = ["/{0}", "//{0}", "/{0}/", "///{0}//"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_paths_are_found_as_clients_write_them(server: Server, spelling: str) -> None:
    for path in ("health", "v1/models", "api/tags", "v1//models/demo"):
        assert server.get(spelling.format(path))[0] == 200, path
    status, body = server.post(spelling.format("v1/chat//completions"), {"messages": []})
    assert (status, body["error"]["param"]) == (400, "messages")
    assert server.get(f"{spelling.format('v1/models')}?client_version=1")[1]["models"]


GUARDED = ["/v1/models", "/slots", "/props", "/v1/responses/x", "/assets/x"]
PUBLIC = ["/health", "/", "/docs", "/openapi.json"]


def test_no_spelling_of_a_path_slips_past_the_key(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--api-key", "perch", cache=warm_cache) as server:
        for path in GUARDED:
            for spelling in (
                path, f"/{path}", f"{path}/", path.replace("/", "//"), f"/health/..{path}", f"/health//..{path}",
                f"//health{path}", f"/%68ealth/..{path}", f"{path}?/health", f"/.{path}", f"{path}%2F",
                f"/health;{path}", f"http://localhost{path}", f"http://localhost/{path}",
            ):  # fmt: skip
                for method in ("GET", "HEAD", "POST"):
                    status, _headers, answer = ask(server.port, spelling, method, Host="localhost")
                    assert status in (400, 401, 404), (spelling, answer)
                    assert b"demo" not in answer
        for path in PUBLIC:
            for spelling in (path, f"/{path}", f"{path}/" if path != "/" else "//"):
                assert ask(server.port, spelling)[0] == 200, spelling
        assert ask(server.port, "//v1/models/", X_Api_Key="perch")[0] == 200


def test_head_is_wherever_get_is(server: Server) -> None:
    """With the headers that a GET has, and nothing else."""
    for dialect in DIALECTS:
        for route in dialect.routes:
            for path in route.paths if route.method == "GET" else ():
                filled = path.replace("{id:.+}", "demo").replace("{id}", "none")
                status, headers, body = ask(server.port, filled, "HEAD")
                wanted, got_headers, got = ask(server.port, filled)
                assert (status, body) == (wanted, b""), path
                if path not in ("/metrics", "/slots", "/api/ps", "/props"):  # whose numbers change
                    assert headers["Content-Length"] == got_headers["Content-Length"] == str(len(got)), path


# -- below a prefix ---------------------------------------------------------------------------------------------


def test_everything_lies_below_the_prefix(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--api-prefix", "llm/", "--api-key", "perch", cache=warm_cache) as server:
        assert any(f":{server.port}/llm " in line for line in server.said)
        assert ask(server.port, "/llm/health")[0] == 200
        assert ask(server.port, "/llm/v1/models")[0] == 401
        assert ask(server.port, "/llm/v1/models/", X_Api_Key="perch")[0] == 200
        for path in ("/health", "/v1/models", "/llmv1/models"):
            assert ask(server.port, path, X_Api_Key="perch")[0] == 404
        status, headers, _body = ask(server.port, "/llm")
        assert (status, headers["Location"]) == (308, "/llm/")
        assert ask(server.port, "/llm/")[0] == 200
        description = json.loads(ask(server.port, "/llm/openapi.json")[2])
        assert description["servers"] == [{"url": "/llm"}]
        status, _headers, answer = ask(server.port, "/llm/v1/messages", "POST", b"{}", X_Api_Key="perch")
        assert (status, json.loads(answer)["type"]) == (400, "error"), "in the form of the dialect"


# -- addresses --------------------------------------------------------------------------------------------------


def test_localhost_is_both_addresses(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--host", "localhost", cache=warm_cache) as server:
        for host in ("127.0.0.1", "::1"):
            assert ask(server.port, "/health", host=host)[0] == 200


def test_all_addresses_of_ipv6_are_those_of_ipv4_too(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--host", "::", cache=warm_cache) as server:
        for host in ("127.0.0.1", "::1"):
            assert ask(server.port, "/health", host=host)[0] == 200


def test_a_unix_socket_has_the_mode_that_is_wanted(demo: Path, warm_cache: Path, tmp_path: Path) -> None:
    place = tmp_path / "model.sock"
    with Server(demo, "--host", str(place), "--socket-mode", "660", cache=warm_cache):
        assert stat.S_IMODE(place.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(place))
            raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 200 ")


# -- names and pages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["host.docker.internal", "host.containers.internal", *sorted(own_names())])
def test_programs_may_ask_by_names_of_this_machine_and_pages_may_not(server: Server, host: str) -> None:
    """Who answers questions for names could make a page of one of them."""
    assert ask(server.port, "/health", Host=f"{host}:{server.port}")[0] == 200
    status, _headers, answer = ask(server.port, "/health", Host=host, Origin=f"http://{host}")
    assert (status, json.loads(answer)["error"]["type"]) == (403, "permission_error")


@pytest.mark.parametrize("host", ["evil.internal", "host.docker.internal.example.org", "xhost.docker.internal"])
def test_other_names_stay_refused(server: Server, host: str) -> None:
    assert ask(server.port, "/health", Host=host)[0] == 403


ORIGINS: list[tuple[str, str, str]] = [
    ("https://a.example", "https://a.example https://A.example", "http://a.example https://a.example:1"),
    ("https://a.example", "", "https://xa.example https://a-example https://a.example.org"),
    ("http://*.a.example", "http://b.a.example http://c.b.a.example", "http://a.example http://xa.example"),
    ("http://*.a.example", "", "http://b.a.example:1 http://b.a.example.org http://e/.a.example http://.a.example"),
    ("http://a.example:*", "http://a.example http://a.example:1", "http://a.example:x http://a.example:1.org"),
    ("app://obsidian.md", "app://obsidian.md", "http://obsidian.md app://obsidianxmd"),
    ("app://*", "app://obsidian.md app://-", "http://obsidian.md capp://x app://"),
    ("vscode-webview://*", "vscode-webview://1ab2-c", "vscode-webview://a/b https://vscode-webview"),
]
"""What the flag says, what that allows, and what it does not."""


@pytest.mark.parametrize(("allowed", "good", "bad"), ORIGINS)
def test_stars_in_origins(allowed: str, good: str, bad: str) -> None:
    origins = Origins(OriginsFlag().convert(allowed, None, None))
    assert [origin for origin in good.split() if not origins.allow(origin)] == []
    assert [origin for origin in [*bad.split(), "null", "", "*"] if origins.allow(origin)] == []


def test_only_the_names_of_web_pages_are_names_of_a_proxy() -> None:
    origins = Origins(["app://obsidian.md", "https://*.a.example", "http://b.example:*"])
    assert [host for host in ("x.a.example", "b.example") if not origins.allow_host(host)] == []
    assert [host for host in ("obsidian.md", "a.example", "xb.example", "") if origins.allow_host(host)] == []


NO_ORIGINS = ["example.org", "https://example.org/path", "http://*", "https://*:8080", "http://a.*.org", "http://a*.org",
              "http://*.*", "null", "http://*example.org", "*://example.org", "http://user@example.org"]  # fmt: skip


@pytest.mark.parametrize("origin", NO_ORIGINS)
def test_the_flag_refuses_what_would_never_match(origin: str) -> None:
    with pytest.raises(click.UsageError):
        command.make_context("x", ["--cors-origins", origin])
