"""Where this project's own files lie: in a checkout, or in site-packages once it is installed.

Knows both layouts. Refuses to know what is in the files.
"""

from __future__ import annotations

from pathlib import Path

import bundler
import runtime

PAGE = "web/page"
PAGE_SOURCE = "web/source"
"""Within the package that is frozen: the page as it is served, and what it is built of."""


def templates_dir() -> Path:
    """The folder of launcher.sh and runtime.spec; pyproject.toml packs it as bundler/templates."""
    packed = _folder_of(bundler.__file__) / "templates"
    return packed if packed.is_dir() else _folder_of(bundler.__file__).parent / "templates"


def runtime_dir() -> Path:
    """The folder of the package that is frozen."""
    return _folder_of(runtime.__file__)


def page_source_dir() -> Path:
    """The folder of what the browser page is built of."""
    return runtime_dir() / PAGE_SOURCE


def page_dir() -> Path:
    """The folder where a page lies that was built before: by scripts/setup, or in a wheel."""
    return runtime_dir() / PAGE


def _folder_of(init: str | None) -> Path:
    if init is None:
        raise FileNotFoundError("a package without a file")
    return Path(init).resolve().parent
