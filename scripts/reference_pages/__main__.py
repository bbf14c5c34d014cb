"""`scripts/reference`: writes the pages of `docs/` that are made of the source."""

from __future__ import annotations

from pathlib import Path

from api_page import api_page
from commands_page import commands_page

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"api.md": api_page, "loaf.md": commands_page}


def main() -> None:
    """Write each page, and say so."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(DOCS / name)


if __name__ == "__main__":
    main()
