"""Importing a module of a package without running the package's own `__init__`.

Some packages import everything they have: aiohttp its client, with TLS contexts made from the system's certificates
(90 ms that no server needs), llama_cpp numpy, diskcache and a server (0.2 s and 30 MB). Both are pinned and frozen, so
what their modules need of the package is known.
"""

from __future__ import annotations

import importlib.util
import sys
import types


def enter_package(name: str, **attributes: str) -> types.ModuleType:
    """Put an empty package in place of `name`, with `attributes`; its modules are then imported as usual.

    Does nothing when the package has been imported. Raises `ModuleNotFoundError`.
    """
    if name not in sys.modules:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError(f"{name} is not installed: run scripts/setup", name=name)
        package = types.ModuleType(name)
        package.__path__ = list(spec.submodule_search_locations)
        vars(package).update(attributes)
        sys.modules[name] = package
    return sys.modules[name]
