"""libmtmd, with which a model sees and hears: the module `llama_cpp.mtmd_cpp`, loaded only where a projector is.

It lies beside libllama where the package is installed; a bundle has it in a pack of its own.
"""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path
from typing import Any

from runtime.engine.llama.binding import import_binding

_FOLDER = "MTMD_CPP_LIB"
"""The environment's name for where the binding looks for the library."""

_importing = threading.Lock()
_imported: Any = None


def import_mtmd(folder: Path | None = None) -> Any:
    """The module, with its library from `folder`; None: from the package's own. It logs where llama.cpp does.

    Once for the whole process, whichever thread comes first. Raises `OSError` where there is no library.
    """
    global _imported
    with _importing:
        if _imported is None:
            _imported = _import(folder)
        return _imported


def _import(folder: Path | None) -> Any:
    _lib, logs = import_binding()
    if folder is not None:
        os.environ[_FOLDER] = str(folder)
    try:
        import llama_cpp.mtmd_cpp as mtmd
    except (FileNotFoundError, RuntimeError) as error:
        raise OSError(f"libmtmd cannot be loaded: {error}") from error
    finally:
        if folder is not None:
            del os.environ[_FOLDER]
    mtmd.mtmd_helper_log_set(logs.callback, ctypes.c_void_p(0))
    return mtmd
