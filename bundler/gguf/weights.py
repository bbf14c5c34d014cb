"""What a build needs to know of the weights at a path: what they are, their header, and their bytes.

Knows that a path may be the first part of several. Refuses to know what is done with the answer.
"""

from __future__ import annotations

from pathlib import Path

from bundler.file.content import Content
from bundler.gguf.header import GGUF
from bundler.gguf.reader import read_gguf
from bundler.gguf.split import plan_content, read_weights
from bundler.gguf.summary import ModelInfo, summarize


def weights_content(path: Path, offset: int = 0, size: int | None = None) -> tuple[ModelInfo, Content]:
    """The model at `path`, and the bytes of its GGUF. As `weights_header`."""
    gguf, content = weights_header(path, offset, size)
    return summarize(gguf), content


def weights_header(path: Path, offset: int = 0, size: int | None = None) -> tuple[GGUF, Content]:
    """The header of the GGUF at `path`, and its bytes: the file's own, or those of all parts merged.

    With a `size`, the GGUF is that many bytes from `offset` on, inside another file.

    Raises GGUFError when a file cannot be used, SplitError when parts are missing or do not fit.
    """
    if size is not None:
        gguf = read_gguf(path, offset=offset, size=size)
        return gguf, plan_content(gguf)
    return read_weights(path)
