"""Importing less than packages would have: what a program that serves has no use for, or not before it is asked.

Some packages import everything they have: aiohttp its client, with TLS contexts made from the system's certificates
(90 ms that no server needs), llama_cpp numpy, diskcache and a server (0.2 s and 30 MB). And half of the time from the
first line to a server that answers goes into modules of which one function is needed, in a case that has not come yet.
All of them are pinned and frozen, so what modules need of each other is known. Refuses to know which modules those are.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any


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


class StandIn(types.ModuleType):
    """Takes the place of the module `name` while others import it (`standing_in`), and is all that they ever see of it.

    It has what is `called`, functions and classes, which import the module when they are called; they are no types, so
    nothing may derive from them. It has what is there `instead`. For anything else, the module is imported.
    """

    def __init__(self, name: str, *called: str, **instead: object) -> None:
        super().__init__(name)
        vars(self).update({one: _Called(name, one) for one in called}, **instead)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import machinery looks for
            raise AttributeError(name)
        return getattr(_imported(self.__name__), name)


class CalledStandIn(types.ModuleType):
    """The same for a module of ours of which all is only called, or asked for with `itself`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Called(self.__name__, name)


@contextmanager
def standing_in(*stand_ins: StandIn | CalledStandIn, without: Sequence[str] = ()) -> Iterator[None]:
    """While the block runs, who imports a module finds its stand-in; one that is to be done `without` is not found.

    Modules that have been imported stay what they are. Other threads see the same, so what a stand-in has must do for
    whatever they may import.
    """
    places: dict[str, Any] = {one.__name__: one for one in stand_ins} | dict.fromkeys(without)  # None: as if not there
    taken = {name: module for name, module in places.items() if name not in sys.modules}
    sys.modules.update(taken)
    try:
        yield
    finally:
        for name, module in taken.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _Called:
    """A function or class of a module that is not imported before it is called."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.itself()(*map(itself, arguments), **{name: itself(one) for name, one in named.items()})

    def itself(self) -> Any:
        return getattr(_imported(self._module), self._name)


def _imported(name: str) -> types.ModuleType:
    """The module itself, also while something still stands in its place."""
    if isinstance(sys.modules.get(name), StandIn | CalledStandIn):
        del sys.modules[name]
    return import_module(name)


def itself(value: Any) -> Any:
    """What `value` is a stand-in for, or else `value`."""
    return value.itself() if isinstance(value, _Called) else value
