"""Where the real bundle listens: addresses, unix sockets, TLS; and what is said where it cannot."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.bundles import Run, Server
from support.raw_http import PAGE, ask, exchange

# -- addresses and unix sockets -------------------------------------------------------------------------------


def test_listening_beyond_loopback_warns(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--host", "0.0.0.0", cache=warm_cache) as server:
        assert ask(server.port, Host="any.name.example")[0] == 200
        assert ask(server.port, Host="any.name.example", Origin=PAGE)[0] == 403
    assert any("Warning: whoever can reach 0.0.0.0:" in line for line in server.said)
    with Server(demo, "--host", "0.0.0.0", cache=warm_cache, environment={"LLAMA_API_KEY": "k"}) as server:
        assert ask(server.port)[0] == 401
    assert not any("Warning" in line for line in server.said)


def test_a_unix_socket_is_its_user_s(guarded: tuple[Server, Path]) -> None:
    status = guarded[1].stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(guarded[1]))
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: whatever\r\nConnection: close\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 ")


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
    (["--host", "300.1.1.1"], 1, "300.1.1.1:0: this is no address, and no name that can be looked up"),
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
