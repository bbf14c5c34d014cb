"""The library itself: the module `llama_cpp.llama_cpp`, with the processor's backend loaded.

Knows where a frozen program and an installed package keep the backends.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

from runtime.engine.llama.logs import LogTail
from runtime.engine.settings import NumaStrategy
from runtime.machine.lean import enter_package

_FOR_OPENMP = "KMP_BLOCKTIME"
"""What ggml puts into the environment for one of the OpenMP libraries (ggml-cpu.c)."""

_importing = threading.Lock()


def import_binding() -> tuple[Any, LogTail]:
    """The module `llama_cpp.llama_cpp`, with llama.cpp's processor backends loaded, and what it logs.

    Once for the whole process, whichever thread comes first.
    """
    with _importing:
        return _import_once()


@functools.cache
def _import_once() -> tuple[Any, LogTail]:
    enter_package("llama_cpp")
    import llama_cpp._ctypes_extensions as extensions

    # It gives each of 250 functions the name and docstring of a Python one, for nobody here.
    vars(extensions)["functools"] = SimpleNamespace(wraps=lambda _described: lambda function: function)
    import llama_cpp.llama_cpp as lib

    # Through libllama's own handle: another copy of ggml's registry would be filled through any other.
    load_backends = lib._lib.ggml_backend_load_all_from_path
    load_backends.argtypes = [ctypes.c_char_p]
    load_backends.restype = None
    logs = LogTail(lib)
    load_backends(os.fsencode(backends_folder()))
    lib.llama_backend_init()
    if _FOR_OPENMP not in os.environ:  # it has been read, and is not for programs that we start
        os.unsetenv(_FOR_OPENMP)
    return lib, logs


@functools.cache
def use_numa(strategy: NumaStrategy) -> None:
    """For all models of the process, once: ggml complains of a second time."""
    lib, _logs = import_binding()
    lib.llama_numa_init(1 + get_args(NumaStrategy).index(strategy))


def loaded_variant() -> str:
    """The name of the processor's variant that ggml has taken: "haswell". As the file is called that is mapped."""
    import_binding()
    found = re.search(r"/libggml-cpu-([\w.]+)\.so", Path("/proc/self/maps").read_text())
    return found[1] if found else "unknown"


def variants_there() -> frozenset[str]:
    """The names of all variants that ggml had the choice of."""
    files = backends_folder().glob("libggml-cpu-*.so")
    return frozenset(file.stem.removeprefix("libggml-cpu-") for file in files)


def backends_folder() -> Path:
    """Where ggml's own backends are: frozen beside libllama, installed by pip in site-packages/bin."""
    package = Path(enter_package("llama_cpp").__path__[0])
    frozen = package / "lib"
    return frozen if any(frozen.glob("libggml-cpu*")) else package.parent / "bin"
