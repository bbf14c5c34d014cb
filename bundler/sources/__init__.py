"""Where weights come from. Each kind of source is a module of its own that ends in a GGUF on this disk.

Knows how a source is named on the command line. Refuses to know what is in the weights.
"""

from __future__ import annotations

from bundler.sources import demo, file
from bundler.sources.resolved import Resolved


def resolve(model: str) -> Resolved:
    """The weights that MODEL names: `demo`, or the path of a GGUF (the first part of a split one).

    Raises `SourceNotFound`.
    """
    if model == demo.NAME:
        return demo.resolve()
    return file.resolve(model)


__all__ = ["Resolved", "resolve"]
