"""How the page is built: the same each time, with every licence, and what stands in for it where npm is missing."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web

from bundler.errors import PackagesUnreachable, StepFailed
from bundler.freeze import page
from bundler.freeze.process import CommandFailed
from bundler.progress import SilentProgress
from runtime.server import page as serving
from support.bundles import ROOT

SOURCE = ROOT / "runtime" / "web" / "source"


class Told(SilentProgress):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_builds_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = content(page.built_page(SilentProgress()) or tmp_path)
    packages = page.npm_packages(SilentProgress(), with_tools=False)
    monkeypatch.setattr(page, "npm_packages", lambda *_args, **_options: packages)
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "another" / "place"))
    assert content(page.built_page(SilentProgress()) or tmp_path) == first
    assert {"index.html.gz", "licenses.txt", "packages.json"} < first.keys()
    assert not re.search(rb"/(root|home|tmp)/", b"".join(map(gzip_or_plain, first.values())))


def gzip_or_plain(data: bytes) -> bytes:
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


GRANTS = (
    "Permission is hereby granted",  # MIT
    "Redistribution and use in source and binary forms",  # BSD
    "Permission to use, copy, modify",  # ISC
    "Grant of Copyright License",  # Apache
)
"""What a licence's text says, whatever else."""


def test_every_package_brings_its_licence() -> None:
    built = page.built_page(SilentProgress())
    assert built is not None
    software = {one.name: one for one in page.page_software(built)}
    needed = json.loads((SOURCE / "package.json").read_text())["dependencies"].keys()
    asked_for = needed - {"esbuild", "preact-render-to-string"}  # these build it
    assert asked_for <= software.keys()
    texts = (built / page.LICENSES).read_text()
    for one in software.values():
        assert f"\n{one.name} {one.version}\n" in texts
        assert one.license
        assert any(words in texts.partition(f"\n{one.name} {one.version}\n")[2][:15_000] for words in GRANTS)
    assert sum(map(texts.count, GRANTS)) >= len(software)


def test_all_packages_are_pinned_by_their_content() -> None:
    lock = json.loads((SOURCE / "package-lock.json").read_text())["packages"]
    assert all("integrity" in one for name, one in lock.items() if name)
    assert not any("resolved" in one for one in lock.values()), "no machine's own registry"
    wanted = json.loads((SOURCE / "package.json").read_text())
    versions = [*wanted["dependencies"].values(), *wanted["devDependencies"].values()]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)


def test_without_npm_there_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_npm = page.page_key()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(page, "page_dir", lambda: tmp_path / "page")
    told = Told()
    assert page.built_page(told) is None
    (line,) = told.lines
    assert line.startswith("npm is not installed, so the page at / is a plain one")
    assert page.page_key() == "plain" != with_npm, "it is built as soon as npm is there"


def test_without_npm_what_came_with_the_wheel_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(page, "page_dir", lambda: tmp_path / "page")
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html.gz").write_bytes(b"x")
    told = Told()
    assert page.built_page(told) == tmp_path / "page"
    assert told.lines == []
    assert page.page_key().startswith("installed ")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("npm error code ENOTFOUND", PackagesUnreachable),
        ("npm ERR! code ECONNREFUSED", PackagesUnreachable),
        ("npm error code EINTEGRITY", StepFailed),
    ],
)
def test_what_goes_wrong_with_npm_is_told(
    line: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise CommandFailed(["npm"], 1, (line,))

    monkeypatch.setattr(page, "run", fail)
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path))
    with pytest.raises(error):
        page.built_page(SilentProgress())


def test_the_plain_page_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_BUILT", tmp_path)
    request = cast("web.Request", SimpleNamespace(headers={}))  # aiohttp's test requests need all of it, clients too
    answer = asyncio.run(serving.index(request))
    assert answer.status == 200
    assert isinstance(answer.body, bytes)
    assert b"Ollama is running" in answer.body
    assert b"<script>" in answer.body, "all in one file"
