"""What the program was told to do, after everything that may say so has been asked.

Later wins: the manifest, `.args`, the environment (`LOAF_PORT` for `--port`), the flags.
Refuses to know where each value came from and what is done with it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from runtime.engine.llama import CacheType, LoadSettings
from runtime.engine.types import Sampling


class ServerSettings(msgspec.Struct, frozen=True):
    """Where to listen, and whether to show the page."""

    host: str = "127.0.0.1"
    port: int = 8080
    open_browser: bool = True


class EngineSettings(msgspec.Struct, frozen=True):
    """Sizes in tokens. None: chosen by what the model and the machine allow."""

    n_ctx: int | None = None
    n_slots: int = 8
    n_batch: int = 2048
    n_ubatch: int = 512
    n_threads: int | None = None
    flash_attention: bool | None = None
    cache_type_k: CacheType = "f16"
    cache_type_v: CacheType = "f16"
    load: LoadSettings = msgspec.field(default_factory=LoadSettings)


class Settings(msgspec.Struct, frozen=True):
    """Everything. `prompt` None: serve. `model` None: the weights in the bundle."""

    model: Path | None = None
    prompt: str | None = None
    raw: bool = False
    system: str | None = None
    max_tokens: int | None = None
    server: ServerSettings = msgspec.field(default_factory=ServerSettings)
    engine: EngineSettings = msgspec.field(default_factory=EngineSettings)
    sampling: Sampling = msgspec.field(default_factory=Sampling)
