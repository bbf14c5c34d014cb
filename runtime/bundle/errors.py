"""What can be wrong with a bundle.

BundleError
├── NotABundle
├── BundleTruncated
├── BundleDamaged
├── NoModelInside
├── WeightsNotBeside
└── BundleTooNew
"""

from __future__ import annotations

from pathlib import Path

from runtime.bundle.format import SCHEMA
from runtime.errors import LoafError, escaped


class BundleError(LoafError):
    """The file is not a bundle that this version can use."""

    def __init__(self, path: Path, message: str, hint: str) -> None:
        super().__init__(f"{path}: {message}", hint)
        self.path = path


class NotABundle(BundleError):
    """The file does not begin with a launcher of ours."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "is not a loaf bundle", "Bundles are made with: loaf build MODEL.gguf")


class BundleTruncated(BundleError):
    """The file is shorter than its launcher says."""

    def __init__(self, path: Path, size: int, expected: int) -> None:
        super().__init__(
            path,
            f"is incomplete: it holds {size:,} of {expected:,} bytes, {expected - size:,} are missing",
            "Download or copy it again.",
        )
        self.size = size
        self.expected = expected


class BundleDamaged(BundleError):
    """The archive's directory or the manifest cannot be read."""

    def __init__(self, path: Path, part: str, reason: str) -> None:
        super().__init__(path, f"is damaged: {escaped(part)}: {escaped(reason)}", "Download or build it again.")
        self.part = part


class NoModelInside(BundleError):
    """The bundle holds programs only, and weights are asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "has no model in it, only programs", "Bundles with one are made with: loaf build MODEL")


class WeightsNotBeside(BundleError):
    """Weights that belong beside the bundle are not there, or are others. `file` is where they should be."""

    def __init__(self, path: Path, file: Path, present: int | None, expected: int) -> None:
        what = "is missing" if present is None else f"has {present:,} bytes, and should have {expected:,}"
        super().__init__(path, f"its weights lie beside it, and {file} {what}", "Copy both, into one folder.")
        self.file = file
        self.present = present
        self.expected = expected


class BundleTooNew(BundleError):
    """The manifest follows a later schema than this program knows."""

    def __init__(self, path: Path, schema: int) -> None:
        super().__init__(
            path,
            f"follows bundle schema {schema}, and this version of loaf knows schema {SCHEMA}",
            "Update loaf: pip install -U loaf-llm",
        )
        self.schema = schema
