"""Where weights come from. Each kind of source is a module of its own that ends in a GGUF on this disk.

    demo.py      the embedded models
    file.py      a path: a GGUF, a folder with one, a bundle, a .llamafile
    hub.py       hf:OWNER/REPO, Hugging Face's hub
    ollama.py    ollama:NAME, the local store or a registry
    gpt4all.py   gpt4all:NAME, what GPT4All has downloaded
    web.py       https://…
    installed.py what of all that is on this machine
    archived.py  inside other files     choosing.py  which of several is meant     resolved.py  what all of them end in

Knows how a source is named on the command line. Refuses to know what is in the weights.
"""

from __future__ import annotations

from pathlib import Path

from bundler.errors import Found
from bundler.progress import Progress
from bundler.sources import demo, file
from bundler.sources.resolved import Resolved

_SCHEMES = ("hf", "ollama", "gpt4all", "https", "http")


def resolve(model: str, progress: Progress) -> Resolved:
    """The weights that MODEL names, downloaded first where they are not here yet.

    Raises `SourceError` where they cannot be had; `SourceAmbiguous` names what could be meant.
    """
    scheme, colon, rest = model.partition(":")
    if model in demo.NAMES:
        return demo.resolve(model)
    if not colon or Path(model).exists():
        return file.resolve(model)
    if scheme == "hf":
        from bundler.sources import hub

        return hub.resolve(rest, progress)
    if scheme == "ollama":
        from bundler.sources import ollama

        return ollama.resolve(rest, progress)
    if scheme == "gpt4all":
        from bundler.sources import gpt4all

        return gpt4all.resolve(rest)
    if scheme in ("https", "http"):
        from bundler.sources import web

        return web.resolve(model, progress)
    return file.resolve(model)


def offered(model: str) -> list[Found] | Path:
    """What MODEL is, without fetching it: a file of this disk, or what it could mean and how large that is in bytes.

    Raises `SourceError` as `resolve` does.
    """
    scheme, colon, rest = model.partition(":")
    path = Path(model).expanduser()
    if path.is_dir():
        models = file.models_in(path)
        return models[0] if len(models) == 1 else [Found(str(one), file.size_of(one)) for one in models]
    if colon and not path.exists():
        if scheme == "hf":
            from bundler.sources import hub

            return hub.offered(rest)
        if scheme == "ollama":
            from bundler.sources import ollama

            return ollama.offered(rest)
        if scheme == "gpt4all":
            from bundler.sources import gpt4all

            return gpt4all.resolve(rest).path
        if scheme in ("https", "http"):
            from bundler.sources import web

            return web.offered(model)
    return demo.resolve(model).path if model in demo.NAMES and not path.exists() else path


def seen_from(folder: Path, model: str) -> str:
    """MODEL as it is written in a file in `folder`: a relative path begins there."""
    scheme, colon, _rest = model.partition(":")
    path = folder / Path(model).expanduser()
    is_elsewhere = model in demo.NAMES or (colon and scheme in _SCHEMES and not path.exists())
    return model if is_elsewhere else str(path)


__all__ = ["Resolved", "offered", "resolve", "seen_from"]
