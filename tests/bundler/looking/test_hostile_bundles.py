"""Bundles that somebody made to harm whoever looks at them: nothing steers the terminal, nothing takes for ever."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.errors import UnsafeEntryName
from bundler.looking.diff import differences
from bundler.looking.diff import to_text as diff_text
from bundler.looking.extract import extract
from bundler.looking.inspect import inspect, to_json, to_text
from bundler.looking.sbom import to_sbom
from bundler.looking.verify import verify
from bundler.text import as_json
from runtime.bundle import BundleDamaged, open_bundle
from runtime.cli.info import describe
from runtime.errors import escaped
from support.bundles import loaf
from support.small_bundles import build_small, small_gguf, small_runtime
from support.tampered import tampered

EVIL = "a\x1b]0;owned\x07\x9b31m\n  licence  MIT\r\u202eb"
"""Sets the window's title, changes colours, begins a line, and writes backwards."""

MANY = 100_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a few kilobytes. Read-only for tests."""
    folder = tmp_path_factory.mktemp("small")
    return build_small(folder / "x.loaf", small_gguf(folder / "m.gguf"), small_runtime(folder / "r", "one"))


def nothing(_bytes: int) -> None:
    pass


def is_tame(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text) and "\n  licence  MIT" not in text


def with_names(manifest: dict[str, Any], contents: dict[str, bytes]) -> None:
    """Everything that is a name or a text is `EVIL`, and so is an entry."""
    del contents
    manifest |= {"name": EVIL, "loaf": EVIL, "system": EVIL}
    manifest["models"][0] |= {"name": EVIL, "origin": EVIL, "license": EVIL, "architecture": EVIL, "quantization": EVIL}
    manifest["runtimes"][0] |= {"glibc": EVIL, "python": EVIL}
    manifest["runtimes"][0]["packages"] = [{"name": EVIL, "version": EVIL, "license": EVIL}]


def with_an_entry(_manifest: dict[str, Any], contents: dict[str, bytes]) -> None:
    contents[EVIL] = b"x"


def test_names_are_escaped_wherever_they_are_shown(small: Path, tmp_path: Path) -> None:
    path = tampered(small, tmp_path / "evil.loaf", with_names)
    bundle, report = open_bundle(path), inspect(path)
    shown = [to_text(report), to_json(report), to_sbom(bundle), describe(bundle)]
    shown.append(diff_text(differences(open_bundle(small), bundle)))
    assert all(map(is_tame, shown))
    assert all("owned" in text for text in shown)
    assert json.loads(to_json(report))["bundle"]["name"] == EVIL


def test_an_entry_with_such_a_name_is_told_and_not_written(small: Path, tmp_path: Path) -> None:
    path = tampered(small, tmp_path / "evil.loaf", with_an_entry)
    verified = loaf("verify", str(path))
    assert (verified.returncode, "does not list it" in verified.stderr) == (1, True)
    assert is_tame(verified.stdout + verified.stderr)
    with pytest.raises(UnsafeEntryName) as caught:
        extract(open_bundle(path), tmp_path / "out", nothing)
    assert is_tame(str(caught.value))
    assert not (tmp_path / "out").exists()


def test_an_entry_that_the_manifest_only_names_is_told_in_one_line(small: Path, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], _contents: dict[str, bytes]) -> None:
        manifest["entries"].append({"name": EVIL, "size": 1, "sha256": "0" * 64})

    result = loaf("inspect", str(tampered(small, tmp_path / "evil.loaf", change)))
    assert result.returncode == 1
    assert is_tame(result.stderr)
    assert "does not hold it" in result.stderr


@given(st.text())
def test_what_is_escaped_is_printable_and_the_rest_as_it_was(text: str) -> None:
    assert escaped(text).isprintable()
    assert escaped(text) == text or not text.isprintable()
    assert is_tame(as_json([text]).replace("\n  licence  MIT", ""))
    assert json.loads(as_json([text])) == [text]


def test_many_entries_beside_it_are_looked_at_once_each(small: Path, tmp_path: Path) -> None:
    """It did not end: each was looked up among all of them, and read."""

    def change(manifest: dict[str, Any], _contents: dict[str, bytes]) -> None:
        manifest["entries"] += [
            {"name": f"n{i}", "size": 10_000_000, "sha256": "0" * 64, "file": "large"} for i in range(MANY)
        ]

    (tmp_path / "large").write_bytes(bytes(10_000_000))
    bundle = open_bundle(tampered(small, tmp_path / "many.loaf", change))
    read = 0

    def count(size: int) -> None:
        nonlocal read
        read += size

    assert len(verify(bundle, count)) == MANY
    assert read < 10_000_000 + small.stat().st_size


def test_of_many_damages_some_are_told(small: Path, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], _contents: dict[str, bytes]) -> None:
        manifest["entries"] += [{"name": f"n{i}", "size": 1, "sha256": "0", "file": f"f{i}"} for i in range(1000)]

    result = loaf("verify", str(tampered(small, tmp_path / "many.loaf", change)))
    assert "and 980 more" in result.stderr
    assert len(result.stderr.splitlines()) < 30


def grown(name: str, size: int) -> Any:
    return lambda one: dataclasses.replace(one, size=size) if one.name == name else one


LIES = [
    ("more than the file has", "x", 10**6, "said to have 1,000,000 bytes"),
    ("more than fits 32 bits", "x", 2**40, "said to have 1,099,511,627,776 bytes"),
    ("more than any file has", "x", 2**63, "said to have"),
    ("so much that it lies in the next", "x", 100, "lies where another entry is"),
    ("the manifest's", "manifest.json", 2**40, "said to have"),
]


@pytest.mark.parametrize(("name", "size", "why"), [row[1:] for row in LIES], ids=[row[0] for row in LIES])
def test_a_size_that_lies_is_called_a_lie(small: Path, tmp_path: Path, name: str, size: int, why: str) -> None:
    path = tampered(
        small, tmp_path / "lies.loaf", lambda _m, contents: contents.update(x=b"x"), sized=grown(name, size)
    )
    with pytest.raises(BundleDamaged, match=why):
        open_bundle(path)


DEEP = msgspec.Raw(b"[" * 50_000 + b"]" * 50_000)

ODD: list[tuple[str, Any, Any, str]] = [
    ("entries of the same bytes", None, lambda one: dataclasses.replace(one, header_offset=65536), "where another"),
    ("two entries of one name", None, lambda one: dataclasses.replace(one, name="x"), "the same name"),
    ("an entry far away", None, lambda one: dataclasses.replace(one, header_offset=2**62), "directory"),
    ("a manifest without a bottom", lambda m: m.update(x=DEEP), None, "manifest.json"),
    ("a manifest that lists one twice", lambda m: m["entries"].append(m["entries"][1]), None, "twice"),
    ("parts of a file that overlap", lambda m: m["entries"].extend(overlapping()), None, "where another"),
    ("a part before a file", lambda m: m["entries"].append(beside("n", offset=-1)), None, "no such place"),
    ("a file that steers the terminal", lambda m: m["entries"].append(beside("n", file=EVIL)), None, "cannot lie"),
]


def beside(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "size": 1, "sha256": "0" * 64, "file": "f"} | fields


def overlapping() -> list[dict[str, Any]]:
    return [beside(f"n{i}", size=1000, offset=i) for i in range(5)]


@pytest.mark.parametrize(("change", "sized", "why"), [row[1:] for row in ODD], ids=[row[0] for row in ODD])
def test_what_no_bundle_has_is_damage(small: Path, tmp_path: Path, change: Any, sized: Any, why: str) -> None:
    def both(manifest: dict[str, Any], _contents: dict[str, bytes]) -> None:
        if change is not None:
            change(manifest)

    as_it_is = lambda one: one  # noqa: E731
    path = tampered(small, tmp_path / "odd.loaf", both, sized=sized or as_it_is)
    with pytest.raises(BundleDamaged, match=why):
        open_bundle(path)


def test_a_directory_without_end_is_not_read(small: Path, tmp_path: Path) -> None:
    def change(_manifest: dict[str, Any], contents: dict[str, bytes]) -> None:
        contents.update({f"{i:08}" + "n" * 60_000: b"" for i in range(300)})

    path = tampered(small, tmp_path / "odd.loaf", change)
    with pytest.raises(BundleDamaged, match="said to have 18,0"):
        open_bundle(path)
