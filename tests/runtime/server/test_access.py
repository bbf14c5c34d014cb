"""Who may call the real bundle: names, web pages, keys, sockets, TLS; and clients that take their time."""

from __future__ import annotations

import http.client
import json
import os
import select
import shutil
import socket
import ssl
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.bundles import Server, clean_environment

from runtime.server.access import host_of, is_loopback

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PAGE = "https://page.example"


def ask(
    port: int, path: str = "/v1/models", method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    """(status, headers, body) of a request; names of headers are written with `_` for `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    response = connection.getresponse()
    answer = response.read().decode()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.headers.items()}, answer


def exchange(port: int, *pieces: bytes, closes_sending: bool = False) -> bytes:
    """What comes back for bytes as they are, until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        for piece in pieces:
            raw.sendall(piece)
        if closes_sending:
            raw.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while data := raw.recv(65536):
                answer += data
        except ConnectionResetError:
            pass
        return answer


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


# -- keys, allowed pages, slow clients, a unix socket ---------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(demo: Path, warm_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server with keys, an allowed page, a unix socket beside its port, and no patience."""
    folder = tmp_path_factory.mktemp("guarded")
    path = folder / "loaf.sock"
    (folder / "keys").write_text("from-a-file\n")
    flags = ["--host", f"127.0.0.1,{path}", "--api-key", "swordfish,perch", "--api-key-file", str(folder / "keys")]
    flags += ["--cors-origins", PAGE, "--timeout", "1"]
    with Server(demo, *flags, cache=warm_cache, environment={"LOAF_ALIAS": "x"}) as server:
        yield server, path
        said = "".join(server.said)
    for key in ("swordfish", "perch", "from-a-file"):
        assert key not in said


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


@pytest.mark.parametrize("path", ["/health", "/v1/health", "/", "/docs", "/openapi.json"])
def test_health_and_pages_are_public(guarded: tuple[Server, Path], path: str) -> None:
    assert ask(guarded[0].port, path)[0] == 200


@pytest.mark.parametrize("path", ["//", "/health/", "/slots", "/v1/models?x=/health", "/nothing", "/%2e%2e/slots"])
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


def test_a_unix_socket_is_its_user_s(guarded: tuple[Server, Path]) -> None:
    status = guarded[1].stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(guarded[1]))
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: whatever\r\nConnection: close\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "], ids=["silent", "line", "header"]
)
def test_a_head_that_does_not_end_is_not_waited_for(guarded: tuple[Server, Path], head: bytes) -> None:
    assert exchange(guarded[0].port, head) == b""


def test_nor_is_a_second_one(guarded: tuple[Server, Path]) -> None:
    with socket.create_connection(("127.0.0.1", guarded[0].port), timeout=30) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 ")
        raw.sendall(b"GET /hea")
        with suppress(ConnectionResetError):
            assert raw.recv(1000) == b""


def test_a_body_that_stops_coming_is_answered(guarded: tuple[Server, Path]) -> None:
    head = b"POST /completion HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: perch\r\nContent-Length: 1000\r\n\r\n"
    answer = exchange(guarded[0].port, head, b'{"prompt"')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"--timeout" in answer


def test_who_does_not_read_is_left(guarded: tuple[Server, Path]) -> None:
    """Pages are asked for, one after the other, until all that lies between is full."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", guarded[0].port))
        raw.settimeout(0.5)
        try:
            for _ in range(1000):
                raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        except (TimeoutError, ConnectionError):
            pass
        poll = select.poll()
        poll.register(raw, 0)
        assert poll.poll(20_000), "the connection is still there"
    assert ask(guarded[0].port, "/health")[0] == 200


def test_a_body_that_is_too_large_is_not_read_first(guarded: tuple[Server, Path]) -> None:
    head = b"POST /completion HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: perch\r\nContent-Length: 99999999999\r\n\r\n"
    assert exchange(guarded[0].port, head).startswith(b"HTTP/1.1 413 ")


def test_a_refused_body_is_not_read(guarded: tuple[Server, Path]) -> None:
    head = b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    assert exchange(guarded[0].port, head).startswith(b"HTTP/1.1 401 ")


# -- hostile HTTP ---------------------------------------------------------------------------------------------

TOP = b"Host: localhost\r\nConnection: close\r\n"
POST = b"POST /completion HTTP/1.1\r\n" + TOP
HOSTILE: list[tuple[str, bytes, int]] = [
    ("no host", b"GET /health HTTP/1.1\r\n\r\n", 400),
    ("two hosts", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n", 400),
    ("HTTP/1.0 has none", b"GET /health HTTP/1.0\r\n\r\n", 200),
    ("NUL in a header", b"GET /health HTTP/1.1\r\n" + TOP + b"X: a\0b\r\n\r\n", 400),
    ("NUL in the path", b"GET /\0 HTTP/1.1\r\n" + TOP + b"\r\n", 400),
    ("NUL in the path, escaped", b"GET /%00 HTTP/1.1\r\n" + TOP + b"\r\n", 404),
    ("a path that is no UTF-8", b"GET /%ff%fe HTTP/1.1\r\n" + TOP + b"\r\n", 404),
    ("a long path", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + TOP + b"\r\n", 431),
    ("a long header", b"GET /health HTTP/1.1\r\n" + TOP + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431),
    ("many headers", b"GET /health HTTP/1.1\r\n" + TOP + b"X: y\r\n" * 500 + b"\r\n", 400),
    ("a header over two lines", b"GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    ("no such method", b"BREW /health HTTP/1.1\r\n" + TOP + b"\r\n", 400),
    ("CONNECT", b"CONNECT localhost:80 HTTP/1.1\r\n" + TOP + b"\r\n", 404),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + TOP + b"\r\n", 404),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\0" * 100, 400),
    ("line ends without CR", b"GET /health HTTP/1.1\nHost: localhost\n\n", 400),
    ("a length below 0", POST + b"Content-Length: -5\r\n\r\n", 400),
    ("a length twice", POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    ("a length and chunks", POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunks that are none", POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", 400),
    ("gzip that is none", POST + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde", 400),
    ("an expectation nobody knows", POST + b"Expect: magic\r\nContent-Length: 2\r\n\r\n{}", 417),
]


@pytest.mark.parametrize(("request_", "status"), [r[1:] for r in HOSTILE], ids=[r[0] for r in HOSTILE])
def test_hostile_http_is_answered(server: Server, request_: bytes, status: int) -> None:
    before = len(server.said)
    answer = exchange(server.port, request_)
    assert int(answer.split()[1]) == status, answer
    if status in (400, 404, 431):
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == status
        assert b"aiohttp" not in answer
    assert server.get("/health")[0] == 200
    assert server.said[before:] == [], "a client's mistake is nothing to say"


def test_requests_sent_ahead_are_answered_in_turn(server: Server) -> None:
    one = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    answer = exchange(server.port, (one + b"\r\n") * 100 + one + b"Connection: close\r\n\r\n")
    assert answer.count(b'{"status":"ok"}') == 101


def test_who_ends_the_connection_has_left(server: Server) -> None:
    """There is no other sign of a client that no longer waits: half a connection is none."""
    body = b'{"prompt": "Once", "n_predict": 100000, "ignore_eos": true}'
    assert exchange(server.port, POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body), closes_sending=True) == b""
    deadline = time.monotonic() + 20
    while any(slot["is_processing"] for slot in server.get("/slots")[1]):
        assert time.monotonic() < deadline


def test_one_client_too_many_is_told(demo: Path, warm_cache: Path) -> None:
    """With 80 files, there are 16 connections."""
    command = f"ulimit -n 80 && exec '{demo}' --server --nobrowser --port 0"
    process = subprocess.Popen(
        ["sh", "-c", command], env=clean_environment(warm_cache), stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        port = next(int(line.split(":")[-1].split()[0]) for line in process.stderr if "Serving on" in line)
        crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
        status, headers, answer = ask(port, "/health")
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(answer)["error"]["type"] == "unavailable_error"
        for one in crowd:
            one.close()
        deadline = time.monotonic() + 20
        while ask(port, "/health")[0] != 200:
            assert time.monotonic() < deadline
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


# -- where it listens -----------------------------------------------------------------------------------------


def test_listening_beyond_loopback_warns(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--host", "0.0.0.0", cache=warm_cache) as server:
        assert ask(server.port, Host="any.name.example")[0] == 200
        assert ask(server.port, Host="any.name.example", Origin=PAGE)[0] == 403
    assert any("Warning: whoever can reach 0.0.0.0:" in line for line in server.said)
    with Server(demo, "--host", "0.0.0.0", cache=warm_cache, environment={"LLAMA_API_KEY": "k"}) as server:
        assert ask(server.port)[0] == 401
    assert not any("Warning" in line for line in server.said)


def test_any_page_may_ask_where_the_user_says_so(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--cors-origins", "*", "--no-ui", cache=warm_cache) as server:
        status, headers, _answer = ask(server.port, Origin=PAGE, Host="any.name.example")
        assert (status, headers["access-control-allow-origin"]) == (200, "*")
        assert ask(server.port, "/")[0] == 404


def test_a_dead_program_s_socket_is_replaced_and_a_living_one_s_is_not(
    demo: Path, run: Run, warm_cache: Path, tmp_path: Path
) -> None:
    path = tmp_path / "loaf.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Server(demo, "--host", str(path), cache=warm_cache) as server:
        assert f"Serving on {path}" in "".join(server.said)
        result = run(demo, "--server", "--nobrowser", "--host", path)
        assert result.returncode == 1
        assert "another program does already" in result.stderr
        assert path.exists()
    assert not path.exists()


def test_what_lies_in_the_way_is_left_alone(demo: Path, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "precious.sock"
    path.write_text("precious")
    result = run(demo, "--server", "--nobrowser", "--host", path)
    assert result.returncode == 1
    assert str(path) in result.stderr
    assert path.read_text() == "precious"


UNABLE: list[tuple[list[str], int, str]] = [
    (["--host", "/no/such/folder/x.sock"], 1, "No such file or directory"),
    (["--host", "/tmp/" + "x" * 200 + ".sock"], 1, "too long"),
    (["--host", "192.0.2.1"], 1, "192.0.2.1"),
    (["--host", "a" * 300], 1, "--host"),
    (["--ssl-cert-file", "/no/such.pem", "--ssl-key-file", "/no/such.key"], 1, "/no/such.pem: No such file"),
    (["--ssl-cert-file", "/etc/passwd", "--ssl-key-file", "/etc/passwd"], 1, "PEM"),
    (["--ssl-cert-file", "/etc/passwd"], 2, "--ssl-key-file"),
    (["--api-key-file", "/no/such"], 1, "/no/such: No such file"),
    (["--api-key-file", "/dev/null"], 2, "no key"),
]


@pytest.mark.parametrize(("flags", "code", "says"), UNABLE, ids=[" ".join(row[0])[:60] for row in UNABLE])
def test_what_cannot_be_is_told(demo: Path, run: Run, flags: list[str], code: int, says: str) -> None:
    result = run(demo, "--server", "--nobrowser", "--port", "0", *flags)
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr


# -- TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate of 127.0.0.1, its key, that key encrypted, and keys of nothing."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt-get install openssl")
    folder = tmp_path_factory.mktemp("pems")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=loaf test", "-addext", "subjectAltName=IP:127.0.0.1"]
    openssl("req", "-x509", *new, *name, "-days", "2", "-keyout", "key.pem", "-out", "cert.pem")
    openssl("genpkey", "-algorithm", "ed25519", "-out", "of-another-type.pem")
    openssl("genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", "another.pem")
    openssl("pkey", "-in", "key.pem", "-aes256", "-passout", "pass:x", "-out", "encrypted.pem")
    return folder


def test_https(demo: Path, warm_cache: Path, pems: Path) -> None:
    flags = ["--ssl-cert-file", str(pems / "cert.pem"), "--ssl-key-file", str(pems / "key.pem")]
    with Server(demo, *flags, cache=warm_cache) as server:
        assert "Serving on https://127.0.0.1:" in "".join(server.said)
        context = ssl.create_default_context(cafile=str(pems / "cert.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=context)
        for _ in range(2):
            body = {"prompt": "The first man on the moon was", "temperature": 0, "stream": True}
            connection.request("POST", "/completion", json.dumps(body))
            assert b"Neil" in connection.getresponse().read()
        connection.close()
        assert not exchange(server.port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 2")
        ask_again = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=context)
        ask_again.request("GET", "/health")
        assert ask_again.getresponse().status == 200
        ask_again.close()
    assert "Traceback" not in "".join(server.said)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("of-another-type.pem", "is not the key of"),
        ("another.pem", "is not the key of"),
        ("encrypted.pem", "encrypted"),
        ("cert.pem", "PEM"),
    ],
)
def test_a_key_that_does_not_fit_is_told(demo: Path, run: Run, pems: Path, key: str, says: str) -> None:
    flags: list[Any] = ["--ssl-cert-file", pems / "cert.pem", "--ssl-key-file", pems / key]
    result = run(demo, "--server", "--nobrowser", "--port", "0", *flags)
    assert result.returncode == 1
    assert says in result.stderr
    assert key in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_that_may_not_be_read_is_told(demo: Path, run: Run, pems: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        locked = tmp_path  # root may read everything but a folder
    else:
        locked = tmp_path / "locked.pem"
        locked.touch(mode=0)
    result = run(demo, "--server", "--nobrowser", "--ssl-cert-file", pems / "cert.pem", "--ssl-key-file", locked)
    assert result.returncode == 1
    assert f"{locked}: " in result.stderr
