"""What a release's small parts are made of; the rest is made of what other tests build."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import ROOT

sys.path.append(str(ROOT / "scripts" / "releasing"))

from notes import notes_of
from signing import sign_file
from sums import write_sums

CHANGELOG = """# Changelog

## Unreleased

### Added
- Something ([how](docs/x.md), [where](https://example.org)).

## 1.2.0 - 2026-01-01

### Changed
- Another thing.
"""


@pytest.mark.parametrize(
    ("version", "says"), [("1.2.0", "- Another thing."), ("9.9.9", "- Something (how, [where](https://example.org)).")]
)
def test_notes_are_of_the_version_or_of_what_is_unreleased(version: str, says: str) -> None:
    notes = notes_of(CHANGELOG, version)
    assert notes.startswith(f"# loaf {version}\n")
    assert says in notes
    assert len(re.findall("^- ", notes, re.MULTILINE)) == 1


def test_this_changelog_has_notes() -> None:
    assert "### Added" in notes_of((ROOT / "CHANGELOG.md").read_text(), "0.0.0")
    with pytest.raises(ValueError, match="says nothing"):
        notes_of("# Changelog\n", "1.0")


def test_sums_are_checked_by_coreutils_and_signed_the_same_each_time(tmp_path: Path) -> None:
    keys, folder = tmp_path / "keys", tmp_path / "release"
    keys.mkdir()
    folder.mkdir()
    (folder / "a").write_text("one")
    (folder / "b").write_text("two")
    sums = write_sums(folder)
    subprocess.run(["sha256sum", "--check", sums.name], cwd=folder, check=True, capture_output=True)
    pair = ["-p", str(keys / "key.pub"), "-s", str(keys / "key")]
    subprocess.run(["minisign", "-G", "-W", *pair], check=True, capture_output=True)
    signatures = []
    for _ in range(2):
        sign_file(sums, keys / "key", "file:SHA256SUMS\tloaf 1.0")
        signatures.append((folder / "SHA256SUMS.minisig").read_bytes())
    assert signatures[0] == signatures[1]
    checked = ["minisign", "-V", "-p", str(keys / "key.pub"), "-m", str(sums)]
    assert "loaf 1.0" in subprocess.run(checked, check=True, capture_output=True, text=True).stdout
