"""The bundle on systems with an old C library, with musl's and with none: it does there what it does here."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import dropwhile
from pathlib import Path

import pytest
from langchain_community.llms.llamafile import Llamafile

from support.bundles import Server
from support.roots import ENVIRONMENT, Root, needs_root

Run = Callable[..., "subprocess.CompletedProcess[str]"]

MOON = ("-p", "Who was the first man on the moon?", "--temp", "0")
STRANGER = 4711
INSIDE = ENVIRONMENT | {"LOAF_CACHE_DIR": ""}
"""For a server that runs in a root: the cache is where its home is."""

MISSING = {
    "/proc": ("dev",),
    "/proc and /dev, but for a file": (),
}


def test_it_answers_as_here(demo: Path, run: Run, system: Root) -> None:
    here = run(demo, *MOON)
    there = system.run("/demo.loaf", *MOON)
    assert (there.returncode, there.stdout, there.stderr) == (0, here.stdout, here.stderr)
    assert "Neil Armstrong" in there.stdout


def test_it_serves_llamafile_s_clients(system: Root, tmp_path: Path) -> None:
    with Server(system.program("/demo.loaf"), cache=tmp_path, environment=INSIDE) as server:
        assert "Neil Armstrong" in Llamafile(base_url=server.url, temperature=0).invoke("The first man on the moon was")
        status, answer = server.post("/completion", {"prompt": "The first man on the moon was", "n_predict": 8})
        assert (status, answer["tokens_predicted"]) == (200, 8)


def test_it_says_which_c_library_it_uses(system: Root) -> None:
    """And each driver is asked by a child process, which uses the same one."""
    explained = system.run("/demo.loaf", "--explain").stdout
    assert re.search(r"^This is loaf .*, glibc 2\.\d+ of its own\.$", explained, re.MULTILINE)
    if (system.path / "lib/ld-musl-x86_64.so.1").exists():
        assert explained.count("musl") == 1
        assert "GPUs: this system's drivers are made for the C library musl, and cannot be loaded" in explained
    else:
        assert "CUDA: libcuda.so.1 is not there" in explained


def test_nothing_is_taken_from_the_system(system: Root) -> None:
    """Whatever is looked for is found where the program lies, also where the system has another of that name."""
    answered = system.run("/demo.loaf", *MOON, LD_DEBUG="libs", LD_DEBUG_OUTPUT="/tmp/loaded")
    assert "Neil Armstrong" in answered.stdout, answered.stderr
    found: list[str] = []
    for report in (system.path / "tmp").glob("loaded.*"):
        searches = report.read_text().split("find library=")[1:]
        report.unlink()
        # The process was a shell before; others are tools of the launcher's.
        of_program = dropwhile(lambda search: "/loaf-runtime." not in search, searches)
        tried = [re.findall(r"trying file=(\S+)", search) for search in of_program]
        found += [files[-1] for files in tried if files]
    assert len(found) > 10
    assert [file for file in found if not file.startswith("/root/.cache/loaf/core-")] == []


@pytest.mark.parametrize("missing", MISSING)
def test_it_answers_without(empty: Root, missing: str) -> None:
    bare = replace(empty, mounts=MISSING[missing])
    (empty.path / "dev/null").touch()
    answered = bare.run("/demo.loaf", *MOON)
    assert "Neil Armstrong" in answered.stdout, answered.stderr


def test_it_answers_without_etc_and_tmp(empty: Root) -> None:
    """Only what is in a container image that has nothing else."""
    answered = empty.run("/demo.loaf", *MOON, before="mount -t tmpfs -o ro tmpfs etc; mount -t tmpfs -o ro tmpfs tmp")
    assert "Neil Armstrong" in answered.stdout, answered.stderr


def test_a_stranger_whose_home_is_the_root_folder(empty: Root) -> None:
    """A container's user with a number and no entry in /etc/passwd."""
    needs_root()
    root = replace(empty, user=STRANGER)
    (empty.path / "tmp").chmod(0o1777)
    for _ in ("first", "warm"):
        answered = root.run("/demo.loaf", *MOON, HOME="/")
        assert "Neil Armstrong" in answered.stdout, answered.stderr
    assert [folder.name for folder in (empty.path / "tmp").glob("loaf-*")] == [f"loaf-{STRANGER}"]
    shutil.rmtree(empty.path / "tmp" / f"loaf-{STRANGER}")


def test_a_root_folder_that_is_only_read(empty: Root) -> None:
    """With a cache that was filled before, and with none."""
    read_only = "mount --rbind . ../ro; cd ../ro; mount -o remount,bind,ro ."
    (empty.path.parent / "ro").mkdir(exist_ok=True)
    answered = empty.run("/demo.loaf", *MOON, before=read_only)
    assert "Neil Armstrong" in answered.stdout, answered.stderr
    refused = empty.run("/demo.loaf", *MOON, before=read_only, HOME="/nowhere")
    assert refused.returncode == 1
    assert re.fullmatch(
        r"demo\.loaf: cannot make the folder /tmp/loaf-0 .*Read-only.*LOAF_CACHE_DIR.*\n", refused.stderr
    )


def test_little_shared_memory(empty: Root) -> None:
    little = replace(empty, mounts=("proc", "dev"))
    answered = little.run("/demo.loaf", *MOON, before="mount -t tmpfs -o size=16m tmpfs dev/shm")
    assert "Neil Armstrong" in answered.stdout, answered.stderr
    refused = little.run(
        "/demo.loaf", *MOON, before="mount -t tmpfs -o size=16m,mode=700 tmpfs dev/shm", LOAF_CACHE_DIR="/dev/shm"
    )
    assert re.fullmatch(r"demo\.loaf: cannot unpack .* into /dev/shm \(No space left on device\).*\n", refused.stderr)


def test_names_are_found_in_etc_hosts_and_by_a_name_server(empty: Root, tmp_path: Path) -> None:
    """Each is a name to listen on, which has to be an address of this machine."""
    needs_root()
    with name_server("127.5.3.1") as asked:
        files = {"hosts": "127.5.3.2 in-hosts.test\n", "resolv.conf": "nameserver 127.5.3.1\n"}
        for name, text in files.items():
            (empty.path / "etc" / name).write_text(text)
        for name, address in (("in-hosts.test", "127.5.3.2"), ("at-the-server.test", "127.5.3.3")):
            listening = Server(empty.program("/demo.loaf", "--host", name), cache=tmp_path, environment=INSIDE)
            with listening as server, socket.create_connection((address, server.port), timeout=10):
                pass
        assert {question for question in asked if question.endswith(".test")} == {"at-the-server.test"}
    for name in files:
        (empty.path / "etc" / name).unlink()


def test_tls(empty: Root, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl: apt-get install openssl")
    where = empty.path / "root"
    command = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=localhost", "-keyout", where / "key.pem", "-out", where / "certificate.pem"]
    subprocess.run([openssl, *command, *names], check=True, capture_output=True)
    flags = ("--ssl-cert-file", "/root/certificate.pem", "--ssl-key-file", "/root/key.pem")
    with Server(empty.program("/demo.loaf", *flags), cache=tmp_path, environment=INSIDE) as server:
        asked = [openssl, "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", where / "certificate.pem"]
        shown = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        assert "Verify return code: 0 (ok)" in shown.stdout


@contextmanager
def name_server(address: str) -> Iterator[list[str]]:
    """Answers that every name of four letters `.test` is 127.5.3.3 (RFC 1035); what it was asked is in the list."""
    asked: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))

        def answer() -> None:
            while True:
                question, client = server.recvfrom(512)
                if not question:
                    return
                labels, at = [], 12
                while length := question[at]:
                    labels.append(question[at + 1 : at + 1 + length].decode())
                    at += length + 1
                asked.append(".".join(labels))
                (kind,) = struct.unpack_from("!H", question, at + 1)
                is_address = kind == 1  # an A record; of others there is none
                header = question[:2] + struct.pack("!HHHHH", 0x8580, 1, int(is_address), 0, 0)
                record = struct.pack("!HHHIH4s", 0xC00C, 1, 1, 60, 4, socket.inet_aton("127.5.3.3"))
                server.sendto(header + question[12 : at + 5] + (record if is_address else b""), client)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", (address, 53))
            thread.join(timeout=10)
