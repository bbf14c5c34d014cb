"""Every error class of both programs says what happened, to which thing, and what to do."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import bundler
import runtime
from runtime.errors import LoafError
from runtime.server.refusals import BadRequest

RULES = re.compile(
    r"\b(must be|is missing|is required|missing request body|at most|expected|either|needs|(are|is) needed|belong to)\b"
    r"|{message}"
)
"""What a message says that is a rule: msgspec's own (`message`) are, too."""


def error_classes() -> Iterator[type[LoafError]]:
    for package in (bundler, runtime):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" not in module.name and not module.name.startswith("bundler.cli"):
                importlib.import_module(module.name)
    waiting = [LoafError]
    seen: set[type[LoafError]] = set()
    while waiting:
        for one in waiting.pop().__subclasses__():
            if one not in seen and one.__module__.startswith(("bundler.", "runtime.")):
                seen.add(one)
                waiting.append(one)
    # what only others are made of has no error of its own
    yield from sorted(
        (one for one in seen if not one.__subclasses__() or "__init__" in vars(one)),
        key=lambda one: (one.__qualname__, one.__module__),  # two are called alike, and all who test have one order
    )


CLASSES = list(error_classes())
NAMES = {one.__name__ for one in CLASSES}


def example(kind: Any) -> Any:
    """A value of the type `kind`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return example(next(one for one in arguments if one is not type(None)))
    if origin is typing.Literal:
        return arguments[0]
    if origin is tuple:
        return tuple(example(one) for one in arguments if one is not Ellipsis)
    if origin is not None and issubclass(origin, (Sequence, list, set, frozenset)):
        return [example(arguments[0])]
    if origin is not None:
        return {}
    if inspect.isclass(kind) and issubclass(kind, Exception):
        return LoafError("THING", "Do something.")
    plain = {str: "THING", int: 3, float: 0.5, bool: True, bytes: b"THING", Path: Path("/THING"), Any: "THING"}
    if kind in plain:
        return plain[kind]
    fields = typing.get_type_hints(kind)
    return kind(**{name: example(of) for name, of in fields.items() if name in inspect.signature(kind).parameters})


def made(error: type[LoafError]) -> LoafError:
    """One of its kind, of examples."""
    hints = typing.get_type_hints(error.__init__)
    positional, named = [], {}
    for one in list(inspect.signature(error.__init__).parameters.values())[1:]:
        if one.kind is inspect.Parameter.KEYWORD_ONLY:
            named[one.name] = example(hints[one.name])
        elif one.kind is not inspect.Parameter.VAR_KEYWORD:
            positional.append(example(hints[one.name]))
    return error(*positional, **named)


@pytest.mark.parametrize("error", CLASSES, ids=[f"{one.__module__}.{one.__qualname__}" for one in CLASSES])
def test_what_happened_to_which_thing_and_what_to_do(error: type[LoafError]) -> None:
    one = made(error)
    assert one.message.strip(), "what happened"
    assert not one.message.startswith(("[Errno", "Traceback"))
    assert one.hint.strip() or error is BadRequest, "what to do"


def test_no_error_is_raised_without_what_to_do() -> None:
    """Hints have no default of nothing, none is given as nothing, and a bad request has a rule or a hint."""
    idle = []
    for path in (*Path(bundler.__path__[0]).rglob("*.py"), *Path(runtime.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _is_idle(node):
                idle.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    assert not idle


def _is_idle(call: ast.Call) -> bool:
    name = ast.unparse(call.func).rpartition(".")[2]
    if name == "BadRequest":
        has_hint = len(call.args) == 3 or any(keyword.arg == "hint" for keyword in call.keywords)
        return not has_hint and RULES.search(ast.unparse(call.args[0])) is None
    given = [*call.args[1:], *(keyword.value for keyword in call.keywords if keyword.arg == "hint")]
    return name in NAMES and any(isinstance(one, ast.Constant) and one.value == "" for one in given)
