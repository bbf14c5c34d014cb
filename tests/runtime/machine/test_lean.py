"""What takes the place of a module while others import it, and what a start does without."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.machine.lean import CalledStandIn, StandIn, itself, standing_in
from support.places import ROOT

MODULE = "a_module_for_stand_ins"


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / f"{MODULE}.py").write_text("NUMBER = 3\nclass Kind: ...\ndef twice(number): return 2 * number\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop(MODULE, None)


def is_imported() -> bool:
    return not isinstance(sys.modules.get(MODULE), StandIn | CalledStandIn | None)


def test_a_function_imports_its_module_when_it_is_called() -> None:
    with standing_in(StandIn(MODULE, "twice")):
        taken = importlib.import_module(MODULE).twice
    assert MODULE not in sys.modules
    assert taken(4) == 8
    assert is_imported()


def test_what_stands_for_an_argument_is_replaced_by_it() -> None:
    with standing_in(StandIn(MODULE, "Kind", "twice")):
        taken = importlib.import_module(MODULE)
    kind = taken.Kind
    with pytest.raises(TypeError, match="'type'"):
        taken.twice(kind)
    assert itself(kind) is importlib.import_module(MODULE).Kind
    assert itself(3) == 3


def test_anything_else_imports_the_module_at_once_even_while_something_stands_there() -> None:
    with standing_in(StandIn(MODULE, "twice", Kind=object)):
        stand_in = importlib.import_module(MODULE)
        assert stand_in.Kind is object
        assert stand_in.NUMBER == 3
        assert is_imported()
        assert stand_in.twice(1) == 2
    assert is_imported()


def test_of_a_module_of_ours_all_is_called() -> None:
    with standing_in(CalledStandIn(MODULE)):
        stand_in = importlib.import_module(MODULE)
        kind, twice = stand_in.Kind, stand_in.twice
        assert twice(2) == 4  # while it stands there
    assert itself(kind) is sys.modules[MODULE].Kind


def test_what_is_not_there_cannot_be_imported_until_the_end() -> None:
    with standing_in(without=[MODULE]), pytest.raises(ImportError):
        importlib.import_module(MODULE)
    assert importlib.import_module(MODULE).NUMBER == 3


def test_what_has_been_imported_stays() -> None:
    imported = importlib.import_module(MODULE)
    with standing_in(StandIn(MODULE, "twice"), without=[MODULE]):
        assert importlib.import_module(MODULE) is imported
    assert sys.modules[MODULE] is imported


SERVES = """
from runtime.cli.sooner import begin_lean, leave_tls_out
begin_lean()
import runtime.cli.main
leave_tls_out()
import runtime.models.loading
from runtime.server.sooner import import_app
import_app()
import runtime.server.serve
"""
NEEDS_NO = {
    *("ssl", "_ssl", "_hashlib", "attr", "email.message", "html.entities", "http.client", "shutil", "tokenize"),
    *("aiohttp.client", "aiohttp.web_ws", "aiohttp.multipart", "asyncio.sslproto", "typing_extensions"),
    *("jinja2", "runtime.grammar.gbnf", "runtime.chat.grammar", "runtime.server.openai.chat", "llama_cpp.llama_cpp"),
}


def modules_after(code: str, *arguments: str) -> set[str]:
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint()\nprint(*sys.modules)", *arguments],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    return set(told.stdout.splitlines()[-1].split())


def test_a_start_imports_nothing_that_it_does_not_need() -> None:
    modules = modules_after(SERVES)
    assert {"aiohttp.web", "runtime.server.app"} <= modules
    assert (modules - modules_after("")) & NEEDS_NO == set()  # a Python with packages of others may begin with some


def test_a_version_is_told_without_a_command_line() -> None:
    modules = modules_after("from runtime.__main__ import begin\nbegin()", "--version")
    assert modules & {"click", "typing", "re", "msgspec", "asyncio"} == set()


def test_what_the_dialects_need_comes_when_it_is_asked_for() -> None:
    asked = "\nfrom runtime.server.app import DIALECTS\nfrom runtime.server.openapi import description\n"
    modules = modules_after(f"{SERVES}{asked}described = description(DIALECTS)\nassert described['paths']")
    assert {"runtime.server.openai.chat", "runtime.server.ollama.chat", "runtime.server.anthropic.messages"} <= modules


CONTENT_TYPES = ["application/json", "Text/Plain; charset=utf-8", 'a/b; c="d e"; f=g', "nonsense", "", "a/b/c", "a/b;c"]


def test_content_types_are_read_as_aiohttp_reads_them() -> None:
    told = "\nfrom aiohttp.helpers import parse_content_type\nfor one in %r: print(parse_content_type(one))"
    ours, theirs = (
        subprocess.run([sys.executable, "-c", before + told % CONTENT_TYPES], capture_output=True, cwd=ROOT, check=True)
        for before in ("import runtime.server", "")
    )
    assert ours.stdout == theirs.stdout
    assert b"utf-8" in ours.stdout
