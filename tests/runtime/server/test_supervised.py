"""A server that a supervisor runs: on the supervisor's socket, telling it how it is, reading keys anew when told to."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.bundles import clean_environment
from support.places import ROOT
from support.raw_http import ask


class Supervisor:
    """Its socket for notifications, and the port of the one that it hands over."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(self.path))
        self.told.settimeout(60)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    def hears(self) -> str:
        return self.told.recv(1000).decode()

    @contextmanager
    def running(self, program: Path, cache: Path, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
        """What `systemd` does: the socket is the process's fourth file, and the environment says so."""
        handing_over = 'exec 3<&"$0"; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        command = ["bash", "-c", handing_over, str(self.listener.fileno()), str(program), "--server", "--nobrowser"]
        process = subprocess.Popen(
            [*command, *flags],
            env=clean_environment(cache, NOTIFY_SOCKET=str(self.path)),
            pass_fds=[self.listener.fileno()],
            stderr=subprocess.PIPE,
        )
        self.listener.close()
        try:
            yield process
        finally:
            process.kill()
            process.communicate()
            self.told.close()


def test_it_serves_as_systemd_has_it(demo: Path, warm_cache: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("old\n")

    def status(key: str) -> int:
        return ask(supervisor.port, Authorization=f"Bearer {key}")[0]

    supervisor = Supervisor(tmp_path)
    flags = ("--api-key-file", str(keys), "--api-key", "given")
    with supervisor.running(demo, warm_cache, *flags) as process:
        assert supervisor.hears() == "READY=1"
        assert (status("old"), status("given"), status("new")) == (200, 200, 401)

        keys.write_text("new\n")
        process.send_signal(signal.SIGHUP)
        assert supervisor.hears().startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert supervisor.hears() == "READY=1"
        assert (status("old"), status("given"), status("new")) == (401, 200, 200)

        keys.write_text("\n")  # nobody means to let everybody in
        process.send_signal(signal.SIGHUP)
        assert (supervisor.hears()[:11], supervisor.hears()) == ("RELOADING=1", "READY=1")
        assert (status("given"), status("new"), status("")) == (200, 200, 401)

        process.send_signal(signal.SIGTERM)
        assert supervisor.hears() == "STOPPING=1"
        _out, error = process.communicate(timeout=20)
    assert (process.returncode, b"holds no key" in error) == (0, True), error


FIRST_PROCESS = """
import os, signal, time
from runtime.machine import supervised
if os.fork() == 0:
    os._exit(0)
os.getpid = lambda: 1
supervised.reap_orphans(lambda number, act: signal.signal(number, lambda *_: act()))
if os.fork() == 0:
    os._exit(0)
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        print("nobody is left")
        break
"""


def test_the_first_process_of_a_container_leaves_no_dead_behind() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_PROCESS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "nobody is left\n"


ANOTHERS = """
import os
from runtime.machine.supervised import handed_sockets
os.environ |= {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
print(handed_sockets(), "LISTEN_FDS" in os.environ)
"""


def test_another_processs_sockets_are_left_alone() -> None:
    done = subprocess.run([sys.executable, "-c", ANOTHERS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"
