"""The notes of a release: what CHANGELOG.md says of it, and how its files are checked."""

from __future__ import annotations

import re

_CHECKING = """
## Checking what you have downloaded

```sh
sha256sum --check --ignore-missing SHA256SUMS
minisign -V -p loaf.pub -m SHA256SUMS     # where the release is signed
```
"""


def notes_of(changelog: str, version: str) -> str:
    """The section of `version`, else what is unreleased. Raises `ValueError` where there is neither."""
    sections = dict(re.findall(r"^## \[?([^\]\n]*?)\]?(?: - [^\n]*)?\n(.*?)(?=^## |\Z)", changelog, re.M | re.S))
    for title in (version, "Unreleased"):
        if title in sections:
            # Links lead into the checkout, and notes lie elsewhere.
            text = re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", sections[title].strip())
            return f"# loaf {version}\n\n{text}\n{_CHECKING}"
    raise ValueError(f"CHANGELOG.md says nothing of {version}")
