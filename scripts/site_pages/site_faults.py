"""What would be wrong with a site that Sphinx is content with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_FETCHED = re.compile(
    r"""<(?:script|img|source|iframe)\b[^>]*\bsrc(?:set)?=["'](?:https?:)?//|"""
    r"""<link\b(?![^>]*rel=["']canonical)[^>]*\bhref=["'](?:https?:)?//|"""
    r"""@import\s*(?:url\()?["']?(?:https?:)?//|\burl\(["']?(?:https?:)?//"""
)


def fetched_from_elsewhere(site: Path) -> Iterator[str]:
    """Pages and styles that have a browser ask another server, with what they name."""
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        for found in _FETCHED.finditer(path.read_text("utf-8")):
            yield f"{path.relative_to(site)}: fetches from elsewhere: {found[0][:120]}"


def missing(site: Path, docs: Path) -> Iterator[str]:
    """Pages of `docs` and the index of the search where they are not there; files that pages name and that are not."""
    wanted = [f"docs/{page.stem}.html" for page in sorted(docs.glob("*.md"))]
    yield from (f"{name} is not there" for name in ["searchindex.js", *wanted] if not (site / name).is_file())
    for page in sorted(site.rglob("*.html")):
        for name in re.findall(r"""(?:src|srcset|href)=["'](?!//)([^"'#?:]+)["'#?]""", page.read_text("utf-8")):
            if not (page.parent / name).exists():
                yield f"{page.relative_to(site)}: {name} is not there"
