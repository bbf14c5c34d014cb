"""Paths that are typed: as they are called, and as shells write them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.console.paths import typed_path

WRITTEN = [
    ("a.png", "a.png"),
    ("a b.png", "a b.png"),
    ("'a b.png'", "a b.png"),
    ('"a b.png"', "a b.png"),
    (r"a\ b.png", "a b.png"),
    ("'it'\\''s.png'", "it's.png"),
    ("folder/'a b'.png", "folder/a b.png"),
    ("it's.png", "it's.png"),
    ("'a' b", "'a' b"),
    ("''", "''"),
    ("~/a.png", "HOME/a.png"),
    ("~/'a b.png'", "HOME/a b.png"),
    ("~nobody-is-called-so/a.png", "~nobody-is-called-so/a.png"),
    ("x" * 300, "x" * 300),
]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "HOME")


@pytest.mark.parametrize(("text", "meant"), WRITTEN, ids=[row[0][:30] for row in WRITTEN])
def test_a_path_is_read_as_a_shell_would(text: str, meant: str) -> None:
    assert typed_path(text) == Path(meant)


@pytest.mark.parametrize("name", ["'a b.png'", r"a\ b.png", '"a"', "a b"])
def test_what_is_called_so_goes_first(name: str) -> None:
    Path(name).touch()
    assert typed_path(name) == Path(name)


@given(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1))
def test_whatever_a_shell_would_have_quoted_is_found(name: str) -> None:
    quoted = shlex.quote(f"./{name}")
    assert typed_path(quoted) == Path(f"./{name}")
