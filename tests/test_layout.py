"""The rooms of the source, and which way imports point (docs/architecture.md, docs/contributing.md)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from support.imports import (
    circles,
    is_within,
    module_graph,
    names_imported,
    room_graph,
    source_files,
    without,
    without_detours,
)
from support.places import ROOT

FILES = source_files()
GRAPH = module_graph(FILES)
ROOMS = sorted(module for module, path in FILES.items() if path.name == "__init__.py")
DIALECTS = [f"runtime.server.{name}" for name in ("anthropic", "llamacpp", "ollama", "openai")]

LOOSE = {
    "bundler": {"paths", "progress", "text"},  # what all share
    "runtime": {"__main__", "errors", "exits", "settings"},
}

SHARED_WITH_THE_BUNDLER = (
    "bundle", "errors", "exits",  # the format; what goes wrong, and what becomes of it
    "cli.arguments", "cli.completion", "cli.options", "cli.command", "cli.flags",  # `.args`, its flags, shells, help
    "explaining.machine", "explaining.report", "explaining.sentences",  # what a bundle would say of this machine
    "memory",  # what a model keeps of its text
    "machine.processor", "machine.variants",  # ggml's variants, and which one a processor runs
    "machine.unpacked",  # what bundles have unpacked
    "engine.llama.quantizing",  # what is asked of a quantizer
    "backends.ASK_FOR_DEVICES", "backends.probe", "machine.program",  # as one file: children ask drivers
)  # fmt: skip

LONGEST_TEST = 350


def may_import(importer: str, imported: str) -> bool:
    """What no order of rooms says: who alone may know what."""
    if is_within(imported, "runtime") and is_within(importer, "bundler"):
        shared = any(is_within(imported, f"runtime.{module}") for module in SHARED_WITH_THE_BUNDLER)
        above = any(f"runtime.{module}".startswith(f"{imported}.") for module in SHARED_WITH_THE_BUNDLER)
        return shared or above or imported == "runtime.__version__"
    if is_within(imported, "bundler"):
        return is_within(importer, "bundler")
    if is_within(imported, "llama_cpp"):
        return is_within(importer, "runtime.engine.llama")
    if is_within(imported, "prompt_toolkit"):
        return is_within(importer, "runtime.console.editing")
    if is_within(importer, "runtime.backends"):
        return not any(is_within(imported, part) for part in ("runtime.engine.llama", "runtime.server", "aiohttp"))
    if is_within(importer, "runtime.explaining"):
        return not is_within(imported, "runtime.server")
    if is_within(importer, "runtime.engine"):
        return not any(is_within(imported, part) for part in ("runtime.server", "runtime.chat", "aiohttp", "jinja2"))
    if is_within(importer, "runtime.chat") or is_within(importer, "runtime.console"):
        return not any(is_within(imported, part) for part in ("runtime.server", "aiohttp"))
    if is_within(importer, "runtime.batch"):
        return not any(is_within(imported, dialect) for dialect in DIALECTS)
    for dialect in DIALECTS:
        if is_within(importer, dialect):
            return not any(is_within(imported, other) for other in DIALECTS if other != dialect)
    return True


def loose_modules(package: str, files: dict[str, Path]) -> set[str]:
    """What lies in `package` without a room around it."""
    inside = (module for module, path in files.items() if path.name != "__init__.py" and is_within(module, package))
    return {module.rpartition(".")[2] for module in inside if module.count(".") == 1}


def test_no_module_imports_one_that_imports_it() -> None:
    assert list(circles(GRAPH)) == []


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_in_one_direction(package: str) -> None:
    assert list(circles(room_graph(GRAPH, package))) == []


@pytest.mark.parametrize("package", LOOSE)
def test_the_picture_of_the_rooms_is_what_they_import(package: str) -> None:
    """Without what is loose, whose imports are taken for those of who imports it."""
    loose = [package, *(f"{package}.{module}" for module in LOOSE[package])]
    rooms = without_detours(without(room_graph(GRAPH, package), loose))
    assert drawn_rooms(package) == {(room, other) for room, imported in rooms.items() for other in imported}


@pytest.mark.parametrize("package", LOOSE)
def test_nothing_is_loose(package: str) -> None:
    assert loose_modules(package, FILES) == LOOSE[package]


@pytest.mark.parametrize("module", FILES)
def test_who_alone_may_know_what(module: str) -> None:
    assert [name for name in sorted(names_imported(FILES[module])) if not may_import(module, name)] == []


def test_the_rules_can_fail() -> None:
    assert list(circles({"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("a"), "d": frozenset("a")})) == [
        ("a", "b", "c", "a"),
        ("b", "c", "a", "b"),
        ("c", "a", "b", "c"),
    ]
    there_and_back = {"p.one.a": frozenset({"p.two.a"}), "p.two.b": frozenset({"p.one.b"}), "p.one.b": frozenset()}
    assert list(circles(there_and_back)) == []
    assert next(circles(room_graph(there_and_back, "p"))) == ("p.one", "p.two", "p.one")
    assert loose_modules("bundler", {**FILES, "bundler.misc": Path("bundler/misc.py")}) - LOOSE["bundler"] == {"misc"}
    assert not may_import("runtime.engine.engine", "runtime.server.app")
    assert not may_import("bundler.making.build", "runtime.engine.llama.model")
    assert not may_import("bundler.making.build", "runtime.models.loading")
    assert not may_import("runtime.server.openai.chat", "runtime.server.llamacpp.slots")
    assert not may_import("runtime.models.loading", "llama_cpp")
    assert not may_import("runtime.console.once", "runtime.server.chatting")
    assert not may_import("runtime.console.chat", "prompt_toolkit.shortcuts")
    assert not may_import("runtime.batch.run", "runtime.server.openai")
    assert not may_import("runtime.backends.fitting", "runtime.engine.llama.devices")


@pytest.mark.parametrize("module", FILES)
def test_every_module_says_what_it_is(module: str) -> None:
    assert docstring_of(module), f"{module} has no docstring"


@pytest.mark.parametrize("room", [room for room in ROOMS if room.count(".") == 1])
def test_a_room_says_what_it_refuses_to_know_and_names_its_doors(room: str) -> None:
    """A door is a module that somebody outside of the room imports."""
    said = docstring_of(room)
    outside = (imported for module, imported in GRAPH.items() if not is_within(module, room))
    doors = {name.split(".")[2] for names in outside for name in names if name.startswith(f"{room}.")}
    assert [door for door in sorted(doors) if not re.search(rf"\b{door}\b", said)] == []
    assert re.search("[Rr]efuses to (know|decide)", said)


def test_tests_lie_as_the_source_does() -> None:
    """Who changes a room finds its tests by the same path; what is no test lies in `tests/support/`."""
    for package in ("bundler", "runtime"):
        for folder in (path for path in (ROOT / "tests" / package).rglob("*") if path.is_dir()):
            if folder.name != "__pycache__":
                assert (ROOT / folder.relative_to(ROOT / "tests") / "__init__.py").exists(), folder
    files = [*(ROOT / "tests").rglob("*.py")]
    helpers = {path for path in files if not path.name.startswith("test_") and path.name != "conftest.py"}
    assert helpers == {path for path in files if path.parent.name == "support"}


def test_no_test_file_is_long() -> None:
    """A file under `tests/` is about one idea; a longer one is about two."""
    lengths = {path: path.read_bytes().count(b"\n") for path in sorted((ROOT / "tests").rglob("*.py"))}
    long = [f"{path.relative_to(ROOT)} has {lines} lines" for path, lines in lengths.items() if lines > LONGEST_TEST]
    assert not long, f"{'; '.join(long)}: at most {LONGEST_TEST}"


def drawn_rooms(package: str) -> set[tuple[str, str]]:
    """The arrows in the picture of docs/architecture.md: (who imports, what)."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    arrows = re.findall(rf"^ +{package[0]}_(\w+)(?:\[.*?\])? --> (.*)$", text, re.MULTILINE)
    return {
        (f"{package}.{room}", f"{package}.{other}")
        for room, others in arrows
        for other in re.findall(rf"{package[0]}_(\w+)", others)
    }


def docstring_of(module: str) -> str:
    return ast.get_docstring(ast.parse(FILES[module].read_text(encoding="utf-8"))) or ""
