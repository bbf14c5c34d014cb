"""Asks a worker for its devices, by llama.cpp's RPC protocol over a socket of its own.

ggml ends the process where a worker is not there or does not answer as it should, and waits for ever where it does not
answer at all: so each is asked here first, within seconds. Refuses to know how ggml uses it then.

A request is a byte, the length of what follows in eight, and that; an answer is a length and that (ggml-rpc.cpp of the
pinned llama.cpp; numbers are little-endian).
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator

import msgspec

from runtime.engine.placement import WorkerAddress
from runtime.errors import LoafError

PROTOCOL = (7, 0, 0)
"""RPC_PROTO_MAJOR_VERSION and so on in ggml-rpc.h.

ggml looks at the first two only; but the last one tells what numbers operations have, and with others a worker would
compute something else.
"""

SECONDS = 5.0
"""How long a worker has to answer all there is to ask."""

MOST_DEVICES = 16
"""What llama_max_devices of llama.cpp returns."""

_GET_DEVICE_MEMORY, _HELLO, _DEVICE_COUNT = 11, 14, 15
"""Of rpc_cmd."""
_CAPABILITIES = bytes(24)
"""RPC_CONN_CAPS_SIZE bytes: of none other than TCP."""


class WorkerUnreachable(LoafError):
    """The worker cannot be used; `reason` says why."""

    def __init__(self, worker: WorkerAddress, reason: str, hint: str) -> None:
        super().__init__(f"the worker {worker} cannot be used: {reason}", hint)
        self.worker = worker
        self.reason = reason


class WorkerSilent(WorkerUnreachable):
    """It takes connections, and says nothing."""

    def __init__(self, worker: WorkerAddress, seconds: float) -> None:
        super().__init__(
            worker,
            f"it takes connections, and does not answer within {seconds:g} seconds",
            "It computes for another machine, perhaps: a worker has one at a time.",
        )
        self.seconds = seconds


class WorkerDevice(msgspec.Struct, frozen=True):
    """Bytes of its memory; of what kind it is, the protocol does not say."""

    total: int
    free: int


class FoundWorker(msgspec.Struct, frozen=True):
    """A worker that answers, by its IPv4 address, and its devices, one at least."""

    address: WorkerAddress
    devices: tuple[WorkerDevice, ...]


def ask(worker: WorkerAddress, seconds: float = SECONDS) -> FoundWorker:
    """What `worker` has. Raises `WorkerUnreachable`."""
    address = _resolved(worker)
    with _connected(address, seconds) as connection:
        try:
            return FoundWorker(address, _Conversation(address, connection, seconds).devices())
        except TimeoutError as error:
            raise WorkerSilent(address, seconds) from error
        except OSError as error:
            raise _stranger(address, "it closes the connection") from error


@functools.cache
def find(workers: tuple[WorkerAddress, ...]) -> tuple[FoundWorker, ...]:
    """What each of them has, asked one after the other; once, since they answer nobody while this process uses them.

    Raises `WorkerUnreachable`, also where one has two names, or there are more devices than llama.cpp takes.
    """
    found = tuple(map(ask, workers))
    for i, worker in enumerate(found):
        if worker.address.endpoint in [other.address.endpoint for other in found[:i]]:
            raise WorkerUnreachable(worker.address, "another name for it is given, too", "Name each worker once.")
    count = sum(len(worker.devices) for worker in found)
    if count > MOST_DEVICES:
        reason = f"with it there are {count} devices, and llama.cpp takes {MOST_DEVICES}"
        raise WorkerUnreachable(found[-1].address, reason, "Name fewer workers with --rpc.")
    return found


def labelled(workers: Iterable[FoundWorker]) -> Iterator[tuple[str, FoundWorker, WorkerDevice]]:
    """Their devices, with the names that ggml has for them: RPC0."""
    devices = ((worker, device) for worker in workers for device in worker.devices)
    return ((f"RPC{i}", worker, device) for i, (worker, device) in enumerate(devices))


class _Conversation:
    """Questions and answers, until `seconds` from now. Raises `WorkerUnreachable`, `OSError`."""

    def __init__(self, worker: WorkerAddress, connection: socket.socket, seconds: float) -> None:
        self._worker = worker
        self._connection = connection
        self._ends_at = time.monotonic() + seconds

    def devices(self) -> tuple[WorkerDevice, ...]:
        theirs = tuple(self._ask(_HELLO, _CAPABILITIES, 4 + len(_CAPABILITIES))[:3])
        if theirs != PROTOCOL:
            its, ours = (".".join(map(str, version)) for version in (theirs, PROTOCOL))
            reason = f"it speaks version {its} of llama.cpp's protocol, and this file {ours}"
            raise WorkerUnreachable(self._worker, reason, "Run the same file on both machines.")
        (count,) = struct.unpack("<I", self._ask(_DEVICE_COUNT, b"", 4))
        if not 1 <= count <= MOST_DEVICES:
            raise _stranger(self._worker, f"it speaks of {count:,} devices")
        return tuple(map(self._device, range(count)))

    def _device(self, number: int) -> WorkerDevice:
        free, total = struct.unpack("<QQ", self._ask(_GET_DEVICE_MEMORY, struct.pack("<I", number), 16))
        return WorkerDevice(total, min(free, total))

    def _ask(self, command: int, content: bytes, length: int) -> bytes:
        """The answer, which has `length` bytes, whatever it says."""
        self._connection.settimeout(self._left())
        self._connection.sendall(struct.pack("<BQ", command, len(content)) + content)
        (announced,) = struct.unpack("<Q", self._receive(8))
        if announced != length:
            raise _stranger(self._worker, "it answers something else than it was asked")
        return self._receive(length)

    def _receive(self, length: int) -> bytes:
        received = b""
        while len(received) < length:
            self._connection.settimeout(self._left())
            part = self._connection.recv(length - len(received))
            if not part:
                raise _stranger(self._worker, "it closes the connection")
            received += part
        return received

    def _left(self) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _resolved(worker: WorkerAddress) -> WorkerAddress:
    """By its IPv4 address, the only kind that ggml's sockets know."""
    try:
        found = socket.getaddrinfo(worker.host, worker.port, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = "its name has no IPv4 address here"
        raise WorkerUnreachable(worker, reason, "Give --rpc its address, as in 192.168.1.20:50052.") from error
    return WorkerAddress(str(found[0][4][0]), worker.port, str(worker))


def _connected(worker: WorkerAddress, seconds: float) -> socket.socket:
    try:
        return socket.create_connection((worker.host, worker.port), seconds)
    except OSError as error:
        if isinstance(error, ConnectionRefusedError):
            reason, hint = "nothing listens there", f"Start it there: FILE --worker --port {worker.port}"
        else:
            reason = "it does not answer" if isinstance(error, TimeoutError) else os.strerror(error.errno or errno.EIO)
            hint = "Check the address, and whether a firewall is between."
        raise WorkerUnreachable(worker, reason, hint) from error


def _stranger(worker: WorkerAddress, reason: str) -> WorkerUnreachable:
    return WorkerUnreachable(
        worker, reason, "It is no worker, or one of another version: run the same file on both machines."
    )
