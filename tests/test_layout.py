"""Imports point one way: what each part of the source may know of the others (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted([*(ROOT / "bundler").rglob("*.py"), *(ROOT / "runtime").rglob("*.py")])
DIALECTS = [f"runtime.server.{name}" for name in ("anthropic", "llamacpp", "ollama", "openai")]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    """Every module that `path` imports, with `from a import b` as both `a` and `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def may_import(importer: str, imported: str) -> bool:
    if within(imported, "runtime") and within(importer, "bundler"):
        # The format, the errors and what becomes of them, completion, `.args` and its flags, how help is grouped, the
        # version's number; what a bundle would say of this machine, and what is asked of a quantizer.
        allowed = ("bundle", "errors", "exits", "completion", "arguments", "cli.options", "cli.command", "__version__")
        allowed += ("explaining.machine", "explaining.report", "explaining.sentences", "quantizing")
        return imported == "runtime" or any(within(imported, f"runtime.{module}") for module in allowed)
    if within(imported, "bundler"):
        return within(importer, "bundler")
    if within(imported, "llama_cpp"):
        return within(importer, "runtime.engine.llama")
    if within(imported, "prompt_toolkit"):
        return within(importer, "runtime.console.editing")
    if within(importer, "runtime.backends"):
        return not any(within(imported, part) for part in ("runtime.engine.llama", "runtime.server", "aiohttp"))
    if within(importer, "runtime.explaining"):
        return not within(imported, "runtime.server")
    if within(importer, "runtime.engine"):
        return not any(within(imported, part) for part in ("runtime.server", "runtime.chat", "aiohttp", "jinja2"))
    if within(importer, "runtime.chat") or within(importer, "runtime.console"):
        return not any(within(imported, part) for part in ("runtime.server", "aiohttp"))
    if within(importer, "runtime.batch"):
        return not any(within(imported, dialect) for dialect in DIALECTS)
    for dialect in DIALECTS:
        if within(importer, dialect):
            return not any(within(imported, other) for other in DIALECTS if other != dialect)
    return True


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_one_way(path: Path) -> None:
    importer = module_of(path)
    assert [name for name in sorted(imports_of(path)) if not may_import(importer, name)] == []


def test_the_rule_can_fail() -> None:
    assert not may_import("runtime.engine.engine", "runtime.server.app")
    assert not may_import("bundler.build", "runtime.engine.llama")
    assert not may_import("runtime.server.openai.chat", "runtime.server.llamacpp.slots")
    assert not may_import("runtime.loading", "llama_cpp")
    assert not may_import("runtime.console.once", "runtime.server.chatting")
    assert not may_import("runtime.console.chat", "prompt_toolkit.shortcuts")
    assert not may_import("runtime.batch.run", "runtime.server.openai")
    assert not may_import("runtime.backends.fitting", "runtime.engine.llama.devices")


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path.name} has no docstring"
