"""The program run from the source, as a file that stands in for a bundle: for what frozen and not frozen do alike."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from support.places import ROOT


def program_in(folder: Path) -> Path:
    """A file in `folder` that begins it with the arguments that it is given."""
    program = folder / "program"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m runtime "$@"\n'
    )
    program.chmod(0o755)
    return program
