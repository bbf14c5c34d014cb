"""ggml's RPC server: the devices of this machine, for whichever machine connects, one at a time.

Knows how it is started. Refuses to know which devices and which address.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from runtime.engine.llama.binding import backends_folder, import_binding
from runtime.engine.llama.devices import device_array, own_devices, processor
from runtime.engine.llama.sockets import connections, keep_alive

OPENED = "Accepted client connection"
CLOSED = "Client connection closed"
"""What it says on standard output, flushed (ggml_backend_rpc_start_server of ggml-rpc.cpp)."""


def devices(library: Path | None, numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the backend in `library`, or the processor (ggml_backend_dev_t). Raises `BackendFailed`."""
    return own_devices(library, numbers) if library is not None else (processor(),)


def serve(host: str, port: int, devices: tuple[int, ...], n_threads: int) -> None:
    """Serve `devices` at `host`, an IPv4 address. Returns only where that cannot be; ggml has said why on stderr.

    No cache of tensors: ggml takes a file there for what its name says, also one whose writing was broken off, and
    never removes any.
    """
    import_binding()
    rpc = ctypes.CDLL(os.fspath(backends_folder() / "libggml-rpc.so"))
    start = rpc.ggml_backend_rpc_start_server
    start.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p]
    start.restype = None
    start(f"{host}:{port}".encode(), None, n_threads, len(devices), device_array(devices))


def keep_alive_at(port: int) -> None:
    """See to it that whoever is connected to `port` is noticed to be switched off: the next one waits for that."""
    for connection in connections():
        if connection.getsockname()[1] == port:
            keep_alive(connection)
