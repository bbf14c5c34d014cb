"""Which test files a change in the working tree can touch: `scripts/test --changed`.

A test file is touched by what it imports, in any number of steps, and by what the room imports whose tests it holds,
since most tests of a room run it as a process. Refuses to know what a test does.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from support.imports import Graph, is_within, module_graph, name_of, names_imported, source_files
from support.places import ROOT

ROOMS_BESIDE: Mapping[str, str] = {
    "clients": "runtime.server",
    "page": "runtime.server",
    "launcher": "runtime.bundle",
    "scripts": "runtime.engine",
}
"""Of the folders that do not lie as the source does: whose process their tests run."""

FOLDERS_BESIDE: Mapping[str, tuple[str, ...]] = {
    "page": ("runtime/web/",),
    "bundler": ("templates/launcher.sh",),
    "launcher": ("templates/launcher.sh", "bundler/file/launcher.py"),
    "scripts": ("scripts/",),
    "test_docs.py": ("docs/", "README.md", "CHANGELOG.md", "findings/", "bundler/", "runtime/"),
    "test_layout.py": ("bundler/", "runtime/", "tests/", "docs/architecture.md"),
}
"""What touches some of them besides, by the beginning of its path."""

EVERYTHING = ("pyproject.toml", "templates/runtime.spec", "tests/conftest.py", "tests/data/", ".ci/", "scripts/test")
"""What may touch any test."""


def changed_files() -> tuple[str, ...]:
    """Paths in the checkout that differ from the last commit, new ones included, and those that are gone."""
    differing = _git("diff", "--name-only", "HEAD")
    return tuple(sorted({*differing, *_git("ls-files", "--others", "--exclude-standard")}))


def touched_tests(changed: Iterable[str]) -> set[Path]:
    """The test files that any of `changed` can touch."""
    paths = set(changed)
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    if any(path.startswith(EVERYTHING) for path in paths):
        return set(tests)
    helpers = {name_of(path, ROOT / "tests"): path for path in (ROOT / "tests" / "support").glob("*.py")}
    files = {**source_files(), **helpers}
    graph = module_graph(files)
    modules = {module for module, path in files.items() if str(path.relative_to(ROOT)) in paths}
    return {test for test in tests if _is_touched(test, paths, modules, graph)}


def _is_touched(test: Path, paths: set[str], modules: set[str], graph: Graph) -> bool:
    inside = test.relative_to(ROOT / "tests")
    if any(str(folder.relative_to(ROOT) / "conftest.py") in paths for folder in test.parents[: len(inside.parts)]):
        return True
    beginnings = FOLDERS_BESIDE.get(inside.parts[0], ())
    if str(test.relative_to(ROOT)) in paths or (beginnings and any(path.startswith(beginnings) for path in paths)):
        return True
    room = ROOMS_BESIDE.get(inside.parts[0], ".".join(inside.parts[:-1]))
    begin = {module for module in graph if room and is_within(module, room)}
    begin |= names_imported(test) & graph.keys()
    return bool(_reached(begin, graph) & modules)


def _reached(begin: set[str], graph: Graph) -> set[str]:
    seen, open_ends = set(begin), list(begin)
    while open_ends:
        new = graph.get(open_ends.pop(), frozenset()) - seen
        seen |= new
        open_ends += new
    return seen


def _git(*arguments: str) -> list[str]:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
