"""Workers: devices of other machines, by ggml's RPC backend, and what is done when a connection to one breaks.

ggml has no way to go on without a worker: it aborts the process (ggml-rpc.cpp, RPC_STATUS_ASSERT), from a thread that
writes to the connection, while the one that computes waits for it. So whoever is about to abort is held for ever
instead, and so is what waits for it; listeners are told, and nothing of llama.cpp is called any more. The process can
still answer what it is asked, and begin anew.

Connections are watched, too: of one that breaks while nothing is computed ggml knows nothing, and of a machine that is
switched off nobody would, without keep-alive.
"""

from __future__ import annotations

import ctypes
import functools
import select
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from runtime.engine.errors import WorkerLost
from runtime.engine.llama.binding import backends_folder, import_binding
from runtime.engine.llama.ggml import declared
from runtime.engine.llama.sockets import connected_to, keep_alive
from runtime.engine.placement import WorkerAddress

CONNECT_SECONDS = 5.0
"""For ggml to connect to a worker that has answered before; another machine may have come first since."""

_ESTABLISHED = 1
"""Of linux/tcp.h's states, the first byte of TCP_INFO."""


class _Worker:
    """One connection, made when the worker is first used, and kept until the process ends: a worker takes one only."""

    def __init__(self, address: WorkerAddress) -> None:
        self.address = address
        self.socket: socket.socket | None = None
        self.handles: tuple[int, ...] = ()

    def connect(self, lib: Any, rpc: Any) -> None:
        """Returns when connected, or never: then `WorkerLost` has been told to whoever listens."""
        endpoint = self.address.endpoint.encode()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})  # its threads inherit it, and write to connections
        giving_up = threading.Timer(CONNECT_SECONDS, self.hang_up)
        giving_up.daemon = True
        giving_up.start()
        backend = rpc.ggml_backend_rpc_init(endpoint, 0)  # holds the connection from here on
        giving_up.cancel()
        registry = rpc.ggml_backend_rpc_add_server(endpoint)
        count = lib.ggml_backend_reg_dev_count(registry) if backend and registry else 0
        self.handles = tuple(lib.ggml_backend_reg_dev_get(registry, number) for number in range(count))
        self.socket = connected_to(self.address.host, self.address.port)
        assert self.socket is not None, "ggml has just connected it"
        keep_alive(self.socket)

    def wait_for_its_end(self) -> None:
        """Until the connection breaks."""
        assert self.socket is not None, "it has been connected"
        watched = select.poll()
        watched.register(self.socket, select.POLLRDHUP)  # and what is told anyhow, errors
        watched.poll()

    def is_connected(self) -> bool:
        return self.socket is not None and self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == bytes(
            [_ESTABLISHED]
        )

    def hang_up(self) -> None:
        """End the connection; ggml sees it if it waits for an answer."""
        connection = self.socket or connected_to(self.address.host, self.address.port)
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Connections:
    """All workers of this process, and who is told when one is lost: once, for all of them."""

    def __init__(self) -> None:
        binding, logs = import_binding()
        self._lib = declared(binding._lib)
        self._rpc = _declared(ctypes.CDLL(str(backends_folder() / "libggml-rpc.so")))
        self._workers: dict[WorkerAddress, _Worker] = {}
        self._lock = threading.Lock()
        self._loss: WorkerLost | None = None
        self._listeners: list[Callable[[WorkerLost], None]] = []
        logs.before_aborting = self._hold

    def listen(self, listener: Callable[[WorkerLost], None]) -> None:
        """Have `listener` called in some thread when a worker is lost."""
        self._listeners.append(listener)

    def devices(self, address: WorkerAddress) -> tuple[int, ...]:
        """Those of a worker that has been found to answer (ggml_backend_dev_t)."""
        worker = self._workers.get(address)
        if worker is None:
            worker = self._workers[address] = _Worker(address)
            worker.connect(self._lib, self._rpc)
            threading.Thread(target=self._watch, args=(worker,), name=f"worker {address}", daemon=True).start()
        return worker.handles

    def _watch(self, worker: _Worker) -> None:
        worker.wait_for_its_end()
        self._lose("the connection broke")

    def _hold(self, message: str) -> None:
        """Called where ggml is about to abort. Returns if it is for another reason, or nobody would go on."""
        if "ggml-rpc" in message and self._listeners:
            self._lose(message.rpartition(": ")[2])
            _wait_for_ever()

    def _lose(self, reason: str) -> None:
        with self._lock:
            if self._loss is not None:
                return
            lost = [worker for worker in self._workers.values() if not worker.is_connected()]
            names = " or ".join(str(worker.address) for worker in lost or self._workers.values())
            self._loss = WorkerLost(names, reason)
        for listener in self._listeners:
            listener(self._loss)
        for worker in self._workers.values():  # the others may forget what they have
            worker.hang_up()


@functools.cache
def connections() -> Connections:
    """Those of this process."""
    return Connections()


def _wait_for_ever() -> NoReturn:
    while True:
        threading.Event().wait()


def _declared(rpc: Any) -> Any:
    """ggml-rpc.h."""
    pointer = ctypes.c_void_p
    rpc.ggml_backend_rpc_init.argtypes, rpc.ggml_backend_rpc_init.restype = [ctypes.c_char_p, ctypes.c_uint32], pointer
    rpc.ggml_backend_rpc_add_server.argtypes, rpc.ggml_backend_rpc_add_server.restype = [ctypes.c_char_p], pointer
    return rpc
