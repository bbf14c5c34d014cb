"""`--worker`: this machine computes for another one, which has the model, until a signal comes.

ggml's RPC server does it. Its protocol has no authentication and no encryption, and it trusts what it is sent, so it
listens on loopback unless told that this is meant. Refuses to know that protocol.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

from runtime.backends.preparing import Prepared
from runtime.backends.workers import WorkerSilent, WorkerUnreachable, ask
from runtime.bundle import Bundle
from runtime.engine.llama.rpc_server import CLOSED, OPENED, devices, keep_alive_at, serve
from runtime.engine.placement import WorkerAddress
from runtime.errors import LoafError
from runtime.machine.resources import memory, memory_of_its_own, processors
from runtime.offloading.placing import own_backend
from runtime.settings import Settings, WorkerSettings

START_SECONDS = 20.0
"""How long ggml may take to listen: it starts the devices before."""

_STACK = 8 * 1024 * 1024
_OTHER_THREADS = 8


class WorkerExposed(LoafError):
    """`host` can be reached from other machines, and nobody said that this is meant."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"a worker on {host} would serve whoever reaches its port: llama.cpp's protocol knows no password and "
            "no encryption, and trusts what it is sent",
            "In a network that is yours alone, add --worker-insecure; else leave --host away, and forward the port "
            "(ssh -L).",
        )
        self.host = host


class WorkerFailed(LoafError):
    """The worker cannot listen, or has stopped doing so."""

    def __init__(self, place: str, reason: str, hint: str) -> None:
        super().__init__(f"no worker on {place}: {reason}", hint)
        self.place = place
        self.reason = reason


def work(bundle: Bundle | None, settings: Settings) -> NoReturn:
    """Compute until SIGINT or SIGTERM ends the process. Raises `LoafError`."""
    assert settings.worker is not None
    address = _address(settings.server.hosts, settings.server.port, settings.worker)
    stopped = _stopped_by_signals()
    own = own_backend(bundle, settings.gpu)
    n_threads = settings.engine.n_threads or processors().usable
    if own.library is None:
        _limit_memory(n_threads)
    said = _heard_from_ggml()
    server = threading.Thread(target=_serve, args=(address, own, n_threads, stopped), name="rpc server", daemon=True)
    server.start()
    _wait_until_it_serves(address, server)
    _announce(address, own, n_threads)
    threading.Thread(target=_tell, args=(said, address.port), name="rpc log", daemon=True).start()
    stopped.wait()
    if not server.is_alive():
        raise WorkerFailed(str(address), "llama.cpp has stopped listening", "Start it again.")
    # At once: ggml's thread can neither be asked to end nor freed under.
    sys.stderr.flush()
    os._exit(0)


def _serve(address: WorkerAddress, own: Prepared, n_threads: int, stopped: threading.Event) -> None:
    try:
        serve(address.host, address.port, devices(own.library, own.numbers), n_threads)
    finally:
        stopped.set()


def _address(hosts: tuple[str, ...], port: int, worker: WorkerSettings) -> WorkerAddress:
    """The one that is free, by its number. Raises `WorkerExposed`, `WorkerFailed`."""
    place = f"{', '.join(hosts)}:{port}"
    if len(hosts) > 1:
        raise WorkerFailed(place, "it listens on one address only", "0.0.0.0 is all that this machine has.")
    try:
        found = socket.getaddrinfo(hosts[0], port, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = f"{hosts[0]} is no IPv4 address, and no name that has one here"
        raise WorkerFailed(place, reason, "Name one with --host, or leave it away.") from error
    host = str(found[0][4][0])
    if not (ipaddress.ip_address(host).is_loopback or worker.beyond_loopback):
        raise WorkerExposed(host)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:  # ggml would not say why it cannot
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            reason = "another program listens there" if in_use else os.strerror(error.errno or errno.EIO)
            raise WorkerFailed(f"{host}:{port}", reason, "Choose another one with --host and --port.") from error
        return WorkerAddress(host, int(probe.getsockname()[1]))


def _stopped_by_signals() -> threading.Event:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopped.set())
    return stopped


def _limit_memory(n_threads: int) -> None:
    """Let what does not fit fail where it is asked for, rather than end this process when it is used.

    ggml says of a processor that all memory of the machine is free. Stacks of threads count whole, and are hardly used.
    """
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory_of_its_own() + memory().available + (n_threads + _OTHER_THREADS) * _STACK
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _heard_from_ggml() -> Iterator[str]:
    """The lines that ggml writes to standard output from now on, which is the only way to learn who comes and goes."""
    read_end, write_end = os.pipe()
    os.dup2(write_end, 1)
    os.close(write_end)
    return iter(os.fdopen(read_end, encoding="utf-8", errors="replace"))


def _wait_until_it_serves(address: WorkerAddress, server: threading.Thread) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.is_alive() and time.monotonic() < deadline:
        try:
            ask(_reachable(address))
            return
        except WorkerSilent:  # somebody else was faster
            return
        except WorkerUnreachable:
            server.join(0.02)
    raise WorkerFailed(str(address), "llama.cpp does not begin to listen", "Choose another port with --port.")


def _announce(address: WorkerAddress, own: Prepared, n_threads: int) -> None:
    """A few lines for people, the first with what to do."""
    host = "ADDRESS-OF-THIS-MACHINE" if address.host == "0.0.0.0" else address.host
    lines = [f"Worker on {address}: give the machine that has the model --rpc {host}:{address.port} (Ctrl-C stops)"]
    if own.devices:
        lines.append(f"Computing on {' and '.join(f'{device.label} ({device.name})' for device in own.devices)}")
    else:
        lines.append(f"Computing on the processor, with {n_threads} threads and {memory().available / 1e9:.1f} GB")
    if not ipaddress.ip_address(address.host).is_loopback:
        lines.append("Warning: whoever can reach this port can do with this program as he likes")
    print("\n".join(lines), file=sys.stderr)
    sys.stderr.flush()


def _tell(said: Iterator[str], port: int) -> None:
    """That a machine has come, or gone; but not that it was this program itself, to see whether ggml listens."""
    for line in said:
        if line.strip() == CLOSED:
            break
    for line in said:
        if line.strip() == OPENED:
            keep_alive_at(port)
            print("A machine has connected", file=sys.stderr, flush=True)
        elif line.strip() == CLOSED:
            print("It has gone: the next one may come", file=sys.stderr, flush=True)


def _reachable(address: WorkerAddress) -> WorkerAddress:
    return WorkerAddress("127.0.0.1", address.port) if address.host == "0.0.0.0" else address
