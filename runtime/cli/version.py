"""The answer to `--version`, which is asked by scripts: before anything is imported that it does not need."""

from __future__ import annotations

import os
import sys

from runtime import __version__

NAME_FROM_SOURCE = "python -m runtime"

VERSION_LINE = "%(prog)s, loaf %(version)s"


def tells_version() -> bool:
    """Whether that is all that was asked, and has been told. What is in the way of it, the command line finds, too."""
    if sys.argv[1:] != ["--version"]:
        return False
    path = os.environ.get("LOAF_BUNDLE")
    try:
        name = path.rpartition("/")[2] if path else NAME_FROM_SOURCE
        print(VERSION_LINE % {"prog": name, "version": __version__})
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):  # a full disk, a closed stream, or none
        return False
    return True
