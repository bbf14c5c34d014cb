"""Models that GPT4All has downloaded, by the name of their file, or the beginning of it."""

from __future__ import annotations

import os
from pathlib import Path

from bundler.errors import Found, SourceAmbiguous, SourceNotFound
from bundler.sources.file import model_name, models_in, size_of
from bundler.sources.resolved import Resolved

PREFIX = "gpt4all:"


def resolve(name: str) -> Resolved:
    """The model whose file is called `name`, or begins like that. Raises `SourceNotFound`, `SourceAmbiguous`."""
    models = installed()
    exact = [path for path in models if name.lower() in (path.name.lower(), model_name(path).lower())]
    fitting = exact or [path for path in models if path.name.lower().startswith(name.lower())]
    if not fitting:
        raise SourceNotFound(
            f"{PREFIX}{name}",
            "GPT4All has no such model on this machine",
            "`loaf models` lists what there is; download others with GPT4All, or name another source.",
        )
    if len(fitting) > 1:
        raise SourceAmbiguous(
            f"{PREFIX}{name}", [Found(f"{PREFIX}{model_name(path)}", size_of(path)) for path in fitting]
        )
    return Resolved(fitting[0], model_name(fitting[0]))


def installed() -> list[Path]:
    """Every model in GPT4All's folders."""
    return [path for folder in folders() for path in models_in(folder)]


def folders() -> list[Path]:
    """Where GPT4All's programs of different ages keep models."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return [data / "nomic.ai" / "GPT4All", Path.home() / ".cache" / "gpt4all"]
