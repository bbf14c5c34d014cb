"""The site of the documentation: what it would fetch from elsewhere, and what is missing in it, is found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.bundles import ROOT

sys.path.append(str(ROOT / "scripts" / "site_pages"))

from site_faults import fetched_from_elsewhere, missing

FETCHED = [
    ("a script", '<script async src="https://elsewhere.example/a.js"></script>'),
    ("a style", '<link rel="stylesheet" href="//elsewhere.example/a.css">'),
    ("a picture", '<img alt="" src="http://elsewhere.example/a.png">'),
    ("a picture of a width", '<source srcset="https://elsewhere.example/a.png">'),
    ("a font", "<style>@import url(https://elsewhere.example/a.css)</style>"),
    ("a picture of a style", "<p style=\"background: url('https://elsewhere.example/a.png')\">"),
]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of two pages, with nothing to complain of."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "a.md").touch()
    (tmp_path / "docs" / "a.html").write_text(
        '<a href="b.html#x">b</a> <a href="https://elsewhere.example">read on</a>'
    )
    (tmp_path / "docs" / "b.html").write_text('<script src="../searchindex.js?v=1"></script>')
    (tmp_path / "searchindex.js").touch()
    return tmp_path


def faults(site: Path) -> list[str]:
    return [*fetched_from_elsewhere(site), *missing(site, site)]


def test_a_whole_site(site: Path) -> None:
    assert faults(site) == []


@pytest.mark.parametrize(("_what", "html"), FETCHED, ids=[what for what, _html in FETCHED])
def test_what_is_fetched_from_elsewhere(site: Path, _what: str, html: str) -> None:
    (site / "docs" / "b.html").write_text(html)
    (told,) = faults(site)
    assert told.startswith("docs/b.html: fetches from elsewhere: ")


def test_what_is_missing(site: Path) -> None:
    (site / "docs" / "b.html").unlink()
    (site / "searchindex.js").unlink()
    (site / "c.md").touch()
    assert faults(site) == [
        "searchindex.js is not there",
        "docs/c.html is not there",
        "docs/a.html: b.html is not there",
    ]
