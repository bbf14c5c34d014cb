"""What axe-core finds on a page."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from support.bundles import ROOT


def complaints(page: Page) -> list[Any]:
    """What axe-core finds, of WCAG 2.2 AA and what it calls best practices; each with the element."""
    page.evaluate(_axe())
    found = page.evaluate("axe.run()")["violations"]
    return [(one["id"], one["impact"], [node["html"][:150] for node in one["nodes"]]) for one in found]


@cache
def _axe() -> str:
    return Path(ROOT / "runtime/web/source/node_modules/axe-core/axe.min.js").read_text()
