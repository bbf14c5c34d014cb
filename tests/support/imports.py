"""Who imports whom, read from the source: every import counts, a late one and one for types alone, too."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from support.places import ROOT

Graph = Mapping[str, frozenset[str]]
"""Of each module, or room, those that it imports, itself not among them."""

PACKAGES = ("bundler", "runtime")


def source_files() -> dict[str, Path]:
    """Every module of ours by its dotted name; a package by its own."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {name_of(path): path for path in paths}


def name_of(path: Path, root: Path = ROOT) -> str:
    """The dotted name of the module in `path`, which is imported with `root` on Python's path."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def names_imported(path: Path) -> frozenset[str]:
    """Every module that `path` imports, ours and others', with `from a import b` as both `a` and `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def module_graph(files: Mapping[str, Path]) -> Graph:
    """Of our own modules alone. `from a import b` is of `a.b` where that is a module, else of `a`."""
    graph: dict[str, frozenset[str]] = {}
    for module, path in files.items():
        names = names_imported(path) & files.keys()
        inner = {name.rpartition(".")[0] for name in names}
        through = {name for name in names & inner if not _takes_from(path, name, files)}
        graph[module] = names - through - {module}
    return graph


def room_graph(modules: Graph, package: str) -> Graph:
    """What lies directly in `package`, each subpackage as one room, and the package's own `__init__` as another."""
    rooms: dict[str, set[str]] = {}
    for module, imported in modules.items():
        if is_within(module, package):
            here = _room(module, package)
            there = {_room(name, package) for name in imported if is_within(name, package)}
            rooms.setdefault(here, set()).update(there - {here})
    return {room: frozenset(others) for room, others in rooms.items()}


def circles(graph: Graph) -> Iterator[tuple[str, ...]]:
    """Each module or room from which imports lead back to itself, with a shortest way there."""
    for start in sorted(graph):
        ways: list[tuple[str, ...]] = [(start,)]
        seen = {start}
        while ways:
            way = ways.pop(0)
            if start in graph.get(way[-1], frozenset()):
                yield (*way, start)
                break
            new = sorted(graph.get(way[-1], frozenset()) - seen)
            seen.update(new)
            ways += [(*way, name) for name in new]


def without_detours(graph: Graph) -> Graph:
    """`graph`, which has no circle, without what follows from the rest: its transitive reduction."""

    def reached(names: frozenset[str]) -> set[str]:
        return set(names).union(*(reached(graph.get(name, frozenset())) for name in names))

    return {
        name: frozenset(one for one in imported if one not in reached(imported - {one}))
        for name, imported in graph.items()
    }


def without(graph: Graph, names: Collection[str]) -> Graph:
    """`graph`, which has no circle, without `names`: who imports one of them, imports what that one does."""
    result = dict(graph)
    for name in names:
        passed_on = result.pop(name)
        for other, imported in result.items():
            if name in imported:
                result[other] = (imported - {name}) | passed_on
    return result


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _room(module: str, package: str) -> str:
    return module if module == package else ".".join(module.split(".")[: package.count(".") + 2])


def _takes_from(path: Path, package: str, files: Mapping[str, Path]) -> bool:
    """Whether `path` takes more of `package` than modules in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and package in {alias.name for alias in node.names}:
            return True
        if isinstance(node, ast.ImportFrom) and node.module == package:
            return any(f"{package}.{alias.name}" not in files for alias in node.names)
    return False
