"""Which versions go into a runtime: the extras of this project's own metadata, where each is pinned once.

Knows the metadata's form. Refuses to know why a package is in the list (docs/dependencies.md says it) and
how it is installed.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Literal

from runtime.errors import LoafError

DISTRIBUTION = "loaf-llm"
LLAMA = "llama-cpp-python"
LLAMA_CPP_COMMIT = "0c1e57098bba43ac29e6e3b677cdceebdd22334f"
"""What the pinned version of it brings: `sources.py` checks that."""

Extra = Literal["runtime", "media", "builder", "freeze", "compile", "test", "check", "docs", "ray"]


Frozen = tuple[Extra, ...]
"""What a program is made of, by extras."""

RUNTIME: Frozen = ("runtime", "media", "freeze")
BUILDER: Frozen = ("builder", "freeze")


def pins_of(frozen: Frozen) -> tuple[str, ...]:
    """All that is installed of them: not llama-cpp-python, which is compiled."""
    wanted = (pin for extra in frozen for pin in pins(extra))
    return tuple(pin for pin in wanted if not pin.startswith(f"{LLAMA}=="))


def pins(extra: Extra, site_packages: Path | None = None) -> tuple[str, ...]:
    """The requirements of `extra` as pip reads them: `name==version`, some with an environment marker.

    As the metadata in `site_packages` has them; None: where this Python finds it.
    """
    wanted = re.compile(rf"\s*(?:and\s+)?extra\s*==\s*['\"]{extra}['\"]")
    found = []
    for line in _all_requirements(site_packages):
        requirement, _, marker = line.partition(";")
        if wanted.search(marker):
            rest = wanted.sub("", marker).strip()
            found.append(f"{requirement.strip()}; {rest}" if rest else requirement.strip())
    return tuple(sorted(found))


def llama_version() -> str:
    """The version of llama-cpp-python that is frozen."""
    return next(pin.partition("==")[2] for pin in pins("runtime") if pin.startswith(f"{LLAMA}=="))


def _all_requirements(site_packages: Path | None) -> list[str]:
    where = sys.path if site_packages is None else [str(site_packages)]
    for distribution in importlib.metadata.distributions(name=DISTRIBUTION, path=where):
        return distribution.requires or []
    raise LoafError(f"{DISTRIBUTION} is not installed in this Python", "run scripts/setup and use .venv/bin/loaf")
