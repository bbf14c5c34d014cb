"""`loaf models`: what is on this machine already, store by store."""

from __future__ import annotations

from pathlib import Path

from bundler.errors import Found
from bundler.sources import gpt4all, hub, ollama
from bundler.sources.file import model_name, models_in, size_of


def installed() -> list[Found]:
    """Every model that a store of another program holds, as it is named on the command line."""
    return [
        *(Found(str(path), size) for path, size in hub.installed()),
        *(Found(str(reference), size) for reference, size in ollama.installed()),
        *(Found(f"{gpt4all.PREFIX}{model_name(path)}", size_of(path)) for path in gpt4all.installed()),
        *(Found(str(path), size_of(path)) for folder in _lm_studio() for path in models_in(folder)),
    ]


def places() -> list[Path]:
    """Where `installed` looks, whether it is there or not."""
    return [hub.cache(), *ollama.stores(), *gpt4all.folders(), *_lm_studio()]


def _lm_studio() -> list[Path]:
    """LM Studio's folders, of today and of older versions."""
    return [Path.home() / ".lmstudio" / "models", Path.home() / ".cache" / "lm-studio" / "models"]
