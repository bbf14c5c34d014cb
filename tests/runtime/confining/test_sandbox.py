"""What a confined server cannot do any more: a request handler that is made to misbehave tries it, in every thread."""

from __future__ import annotations

import shlex
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.confining import landlock
from runtime.confining.confinement import Needs, plan
from runtime.confining.errors import CannotConfine
from runtime.confining.seccomp import _CALLS, Allowed, filter_program
from support.bundles import DEMO_GGUF, Server
from support.places import ROOT

MISBEHAVING = """
import asyncio, os, socket, subprocess, sys, threading
from pathlib import Path
from aiohttp import web
from runtime.server import serve
from runtime.server.keys import MODELS

SLOTS, SECRET, PORT, WEIGHTS = sys.argv[1:5]

def attempts():
    return {
        "read /etc/shadow": lambda: Path("/etc/shadow").read_bytes(),
        "read somebody's file": lambda: Path(SECRET).read_text(),
        "list the root": lambda: os.listdir("/"),
        "write into the checkout": lambda: Path("made").write_text("x"),
        "write into /tmp": lambda: Path("/tmp/loaf-made").write_text("x"),
        "remove somebody's file": lambda: os.unlink(SECRET),
        "make a folder": lambda: os.mkdir("/tmp/loaf-folder"),
        "run a program": lambda: subprocess.run(["/bin/true"], check=True),
        "become a program": lambda: os.execv("/bin/true", ["true"]),
        "connect": lambda: socket.create_connection(("127.0.0.1", int(PORT)), 5),
        "send a datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
        "connect to a unix socket": lambda: socket.socket(socket.AF_UNIX).connect("/run/x"),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)),
        "mount": lambda: os.chroot("/tmp"),
        "read its weights": lambda: open(WEIGHTS, "rb").read(4),
        "write a slot": lambda: Path(SLOTS, "x").write_text("x"),
        "import a module": lambda: __import__("wave"),
    }

def tried():
    found = {}
    for what, attempt in attempts().items():
        try:
            attempt()
            found[what] = "done"
        except (PermissionError, OSError) as error:
            found[what] = type(error).__name__
    return found

async def misbehave(request):
    kinds = {"loop": tried(), "executor": await asyncio.to_thread(tried)}
    engine = request.app[MODELS].all[0].engine
    kinds["engine"] = await asyncio.wrap_future(engine.in_worker(tried))
    return web.json_response(kinds)

build = serve.build_app
def with_a_hook(served, settings):
    app = build(served, settings)
    app.router.add_get("/misbehave", misbehave)
    return app
serve.build_app = with_a_hook
from runtime.cli.main import main
sys.argv = [sys.argv[0], *sys.argv[5:]]
"""
"""Its arguments: the folder for slots, a file and a port of somebody else's, the weights."""

DENIED = {
    "read /etc/shadow", "read somebody's file", "list the root", "write into the checkout", "write into /tmp",
    "remove somebody's file", "make a folder", "run a program", "become a program", "connect", "send a datagram",
    "connect to a unix socket", "listen", "mount",
}  # fmt: skip

ALLOWED = {(): set(), ("--media-urls",): {"connect", "send a datagram"}}
"""By what flags."""


@pytest.fixture(scope="module", params=[(), ("--media-urls",)], ids=["by itself", "fetching"])
def confined(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Path, set[str]]]:
    folder = tmp_path_factory.mktemp("confined")
    (folder / "slots").mkdir()
    secret = tmp_path_factory.mktemp("others") / "secret"
    secret.write_text("secret")
    hook, program = folder / "hook.py", folder / "program"
    with socket.create_server(("127.0.0.1", 0)) as other:
        given = [folder / "slots", secret, other.getsockname()[1], DEMO_GGUF]
        hook.write_text(f"{MISBEHAVING}\nmain()\n")
        first = " ".join(shlex.quote(str(one)) for one in (sys.executable, hook, *given))
        program.write_text(f'#!/bin/sh\ncd {shlex.quote(str(ROOT))}\nPYTHONPATH=. exec {first} "$@"\n')
        program.chmod(0o755)
        flags = ["-m", str(DEMO_GGUF), *request.param, "--slot-save-path", str(folder / "slots"), "--no-ui"]
        flags += ["--host", f"127.0.0.1,{folder / 'loaf.sock'}"]
        with Server(program, *flags, cache=folder) as server:
            yield server, folder, DENIED - ALLOWED[request.param]


def test_it_cannot_do_what_a_server_does_not(confined: tuple[Server, Path, set[str]]) -> None:
    server, _folder, denied = confined
    status, kinds = server.get("/misbehave")
    assert status == 200, kinds
    for thread, found in kinds.items():
        assert {what for what, outcome in found.items() if outcome != "done"} == denied, thread


def test_it_does_what_a_server_does(confined: tuple[Server, Path, set[str]]) -> None:
    server, folder, _denied = confined
    for path, body in {
        "/completion": {"prompt": "Once", "n_predict": 4},
        "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4},
        "/v1/embeddings": {"input": "text"},
        "/completions": {"prompt": "x", "n_predict": 4, "json_schema": {"type": "object"}},
        "/api/generate": {"model": "demo", "prompt": "x", "stream": False, "options": {"num_predict": 2}},
        "/v1/messages": {"model": "demo", "max_tokens": 4, "messages": [{"role": "user", "content": "x"}]},
    }.items():
        status, answer = server.post(path, body)
        assert status == 200, answer
    for action in ("save", "restore", "save"):
        status, answer = server.post(f"/slots/0?action={action}", {"filename": "state"})
        assert status == 200, answer
    assert server.get("/metrics")[0] == 200
    assert server.get("/props")[0] == 200
    assert (folder / "loaf.sock").exists()


def test_it_ends_in_peace(confined: tuple[Server, Path, set[str]]) -> None:
    server, folder, _denied = confined
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=20) == 0, server.said
    assert not (folder / "loaf.sock").exists()


@pytest.mark.parametrize("machine", sorted(_CALLS))
def test_a_filter_decides_each_call_as_meant(machine: str) -> None:
    """Followed instruction by instruction, as the kernel does (Documentation/networking/filter.rst)."""
    (architecture, _seccomp, calls), tells = _CALLS[machine], Allowed(tells=True)

    def decision(number: int, first: int = 0, arch: int = architecture, allowed: Allowed = tells) -> int:
        program = [struct.unpack("@HBBI", one) for one in filter_program(architecture, calls, allowed)]
        data, value, place = {0: number, 4: arch, 16: first}, 0, 0
        while True:
            code, if_so, if_not, operand = program[place]
            if code == 0x06:
                return operand
            if code == 0x20:
                value, place = data[operand], place + 1
            else:
                holds = value == operand if code == 0x15 else value >= operand
                place += 1 + (if_so if holds else if_not)

    allowed = 0x7FFF0000
    for number in range(500):
        is_denied = number in calls.values()
        assert (decision(number) == allowed) is not is_denied, number
        assert decision(number | 0x40000000) != allowed
        assert decision(number, arch=0x40000003) != allowed, "i386"
    assert decision(calls["socket"], 1) == allowed, "unix"
    assert decision(calls["socket"], 1, allowed=Allowed()) != allowed
    for family in (0, 2, 10, 16, 17, 40):
        assert decision(calls["socket"], family) != allowed
        connects = decision(calls["socket"], family, allowed=Allowed(connects=True)) == allowed
        assert connects is (family in (2, 10, 16)), family
    assert decision(calls["connect"], allowed=Allowed(connects=True)) == allowed
    assert decision(calls["execve"], allowed=Allowed(connects=True)) != allowed
    assert decision(calls["execve"], allowed=Allowed(starts=True)) == allowed
    assert decision(calls["ptrace"], allowed=Allowed(starts=True, connects=True, tells=True)) != allowed


@pytest.mark.parametrize(
    ("needs", "files", "allowed", "left_out"),
    [
        (Needs(), True, Allowed(), ""),
        (Needs(fetches=True), True, Allowed(connects=True), ""),
        (Needs(is_supervised=True), True, Allowed(tells=True), ""),
        (Needs(chats=True), False, Allowed(), "a chat in the terminal"),
        (Needs(offloads=True), False, Allowed(), "drivers of GPUs"),
        (Needs(has_workers=True), False, Allowed(starts=True, connects=True), "--rpc connects"),
    ],
)
def test_what_is_needed_stays(needs: Needs, files: bool, allowed: Allowed, left_out: str) -> None:
    found = plan(needs, wanted=None)
    assert (found.files, found.calls, found.allowed) == (files, True, allowed)
    assert [reason.startswith(left_out) for reason in found.left_out] == [True] * bool(left_out)
    said = list(found.lines())
    assert said[0].startswith("Sandbox: no")
    assert ("no connection opened" in said[0]) is not allowed.connects
    assert ("nothing is read but" in said[0]) is files
    if left_out:
        with pytest.raises(CannotConfine, match=left_out):
            plan(needs, wanted=True)
    else:
        assert plan(needs, wanted=True) == found
    nothing = plan(needs, wanted=False)
    assert (nothing.files, nothing.calls) == (False, False)
    assert list(nothing.lines()) == ["Sandbox: there is none, --no-sandbox says so"]


def test_a_kernel_without_it_leaves_files_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    found = plan(Needs(), wanted=None)
    assert (found.files, found.calls, found.left_out) == (False, True, ("this kernel has no Landlock",))


NO_LANDLOCK = """
import sys
from runtime.confining import landlock
landlock.version = lambda: 0
from runtime.cli.main import main
main()
"""


def test_where_all_of_it_cannot_be_had_a_server_told_to_have_it_does_not_start() -> None:
    command = [sys.executable, "-c", NO_LANDLOCK, "-m", str(DEMO_GGUF), "--server", "--port", "0"]
    done = subprocess.run([*command, "--sandbox"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "--sandbox cannot be had: this kernel has no Landlock" in done.stderr
    told = subprocess.run([*command, "--explain"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "Sandbox: no program is started and no connection opened.\n" in told.stdout
    assert "Sandbox: not all of it can be had, this kernel has no Landlock.\n" in told.stdout
