"""SHA256SUMS, in the form of coreutils."""

from __future__ import annotations

from pathlib import Path

from bundler.freeze.pack import sha256_of


def write_sums(folder: Path) -> Path:
    """Of all that lies in `folder`, by name; returns the file."""
    lines = [f"{sha256_of(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(lines))
    return sums
