"""The documentation: whole, found from its index, true where it repeats the source, and without a link to nowhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from bundler.cli import loaf
from runtime.cli.main import command
from runtime.engine.engine import Engine
from runtime.engine.weights import Weights
from runtime.models.served import Loading, ServedModel
from runtime.server.app import build_app
from runtime.settings import Settings
from support.bundles import ROOT
from support.fakes import FakeContext

sys.path.append(str(ROOT / "scripts" / "reference_pages"))

from api_page import api_page
from commands_page import commands_page

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(ROOT / "bundler").rglob("*.md")])
_CODE = re.compile(r"^( *)```.*?^\1```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links_of(page: Path) -> list[str]:
    """Where the links of `page` go, without those in examples."""
    return _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))


def anchors_of(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    words = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in words}


def broken_links(page: Path) -> Iterator[str]:
    for link in links_of(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_go_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A `title`, (so)\n[b](b.md) [c](#a-title-so) [d](#d) `[e](e.md)` [f](https://f)\n")
    assert list(broken_links(tmp_path / "a.md")) == ["b.md", "#d"]


def test_every_page_is_in_the_index() -> None:
    listed = {link.partition("#")[0] for link in links_of(DOCS / "README.md")}
    assert {page.name for page in DOCS.glob("*.md")} - listed == {"README.md"}
    assert "docs/README.md" in links_of(ROOT / "README.md")


@pytest.mark.parametrize(("name", "page"), [("api.md", api_page), ("loaf.md", commands_page)])
def test_what_is_made_of_the_source_is_what_the_source_says(name: str, page: Any) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == page(), "write it anew: scripts/reference"


def test_every_route_is_documented() -> None:
    served = ServedModel("fake", Weights(Path("fake.gguf")), 0, "", Engine(FakeContext), Loading())
    app = build_app([served], Settings())
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    for route in app.router.routes():
        assert route.resource is not None
        path = re.sub(r":[^}]*}", "}", route.resource.canonical)
        if route.method != "HEAD":
            assert f"`{route.method} {path}`" in text or f"`{path}`" in text, route


def test_flags_are_documented_with_the_defaults_that_they_have() -> None:
    rows = (DOCS / "flags.md").read_text(encoding="utf-8").splitlines()
    shown = [param for param in command.params if isinstance(param, click.Option) and param.show_default]
    assert shown
    for option in shown:
        (row,) = (row for row in rows if row.startswith("| ") and f"`{option.opts[-1]}`" in row.split(" | ")[0])
        default = ("on" if option.default else "off") if option.is_flag else option.default
        assert row.endswith(f" Default: {default}. |"), option.opts


def options_of(command: click.Command) -> Iterator[click.Option]:
    """Those of a command, and of all commands below it."""
    yield from (param for param in command.params if isinstance(param, click.Option) and not param.hidden)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from options_of(one)


@pytest.mark.parametrize("program", [command, loaf], ids=["a bundle", "loaf"])
def test_the_help_tells_every_default_that_there_is(program: click.Command) -> None:
    """A switch that is off, and an option that is as if it were not there, need none."""
    for option in options_of(program):
        assert option.help, option.opts
        assert option.show_default or option.to_info_dict()["default"] in (None, False, ()), option.opts
