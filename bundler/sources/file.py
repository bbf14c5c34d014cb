"""Weights named by a path."""

from __future__ import annotations

import re
from pathlib import Path

from bundler.errors import SourceNotFound
from bundler.sources.resolved import Resolved

_SPLIT_SUFFIX = re.compile(r"-\d{5}-of-\d{5}$")
"""What llama.cpp's gguf-split appends to the name of each part."""


def resolve(model: str) -> Resolved:
    """The GGUF at the path `model`. Raises `SourceNotFound`."""
    path = Path(model).expanduser()
    if path.is_dir():
        raise SourceNotFound(model, "is a folder", "Name the .gguf file in it.")
    if not path.is_file():
        raise SourceNotFound(model, "no such file", "Name a .gguf file, or 'demo' for the embedded model.")
    return Resolved(path, _SPLIT_SUFFIX.sub("", path.stem))
