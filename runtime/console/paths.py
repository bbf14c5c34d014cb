"""Paths as people type them: by their bare names, or as shells and terminals write them. Knows what is there."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def typed_path(text: str) -> Path:
    """What is called `text`, where anything is; else what a shell would call so, if it is one word to it."""
    bare = _from_home(text)
    if os.path.lexists(bare):
        return bare
    try:
        words = shlex.split(text)
    except ValueError:  # a quote that is not ended belongs to the name
        return bare
    return _from_home(words[0]) if len(words) == 1 and words[0] else bare


def _from_home(text: str) -> Path:
    return Path(os.path.expanduser(text))  # noqa: PTH111  (`Path.expanduser` takes `./~` for a home)
