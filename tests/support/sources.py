"""What a source of weights is found to be, and bundles of it that are asked a question."""

from __future__ import annotations

from pathlib import Path

from bundler.progress import SilentProgress
from bundler.sources import Resolved
from bundler.sources import resolve as resolve_with
from support.bundles import loaf

QUESTION = "Who was the first man on the moon?"


def resolve(model: str) -> Resolved:
    return resolve_with(model, SilentProgress())


def bundle_of(model: str, tmp_path: Path) -> Path:
    """A bundle of `model`, built by the real command."""
    target = tmp_path / "made.loaf"
    done = loaf("build", model, "-o", str(target))
    assert done.returncode == 0, done.stderr
    return target
