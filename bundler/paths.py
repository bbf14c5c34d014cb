"""Where this project's own files lie: in a checkout, or in site-packages once it is installed.

Knows both layouts. Refuses to know what is in the files.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bundler
import runtime
from runtime.errors import LoafError

PAGE = "web/page"
PAGE_SOURCE = "web/source"
"""Within the package that is frozen: the page as it is served, and what it is built of."""


PROGRAMS = "programs.loaf"
"""Within the package `bundler`, where it is installed from a wheel: a bundle of nothing but programs."""

_BUNDLE = "LOAF_BUNDLE"
"""How the launcher says which file it is."""


def templates_dir() -> Path:
    """The folder of launcher.sh, runtime.spec and builder.spec; pyproject.toml packs it as bundler/templates."""
    packed = bundler_dir() / "templates"
    return packed if packed.is_dir() else bundler_dir().parent / "templates"


def bundler_dir() -> Path:
    """The folder of the package that has the `loaf` command."""
    return _folder_of(bundler.__file__)


def runtime_dir() -> Path:
    """The folder of the package that is frozen."""
    return _folder_of(runtime.__file__)


def page_source_dir() -> Path:
    """The folder of what the browser page is built of."""
    return runtime_dir() / PAGE_SOURCE


def page_dir() -> Path:
    """The folder where a page lies that was built before: by scripts/setup, or in a wheel."""
    return runtime_dir() / PAGE


def own_programs() -> Path | None:
    """The bundle that this loaf takes programs from: `dist/loaf` itself, or the one in a wheel; None: it has none.

    Raises `LoafError` where the launcher of `dist/loaf` was passed over.
    """
    if not is_frozen():
        packed = bundler_dir() / PROGRAMS
        return packed if packed.is_file() else None
    try:
        return Path(os.environ[_BUNDLE])
    except KeyError:
        raise LoafError("this program belongs to a file that starts it", "Start that file.") from None


def is_frozen() -> bool:
    """Whether this loaf is one file, which has neither a Python nor a compiler to make programs with."""
    return bool(getattr(sys, "frozen", False))


def _folder_of(init: str | None) -> Path:
    if init is None:
        raise FileNotFoundError("a package without a file")
    return Path(init).resolve().parent
