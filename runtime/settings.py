"""What the program was told to do, after everything that may say so has been asked.

Later wins: the manifest, `.args`, the environment (`LOAF_PORT` for `--port`), the flags.
Refuses to know where each value came from and what is done with it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from runtime.engine.backend import Adapter, CacheType, LoadSettings, Pooling
from runtime.engine.types import Sampling


class ServerSettings(msgspec.Struct, frozen=True):
    """Where to listen, whether to show the page, and where states of slots may be kept, if anywhere."""

    host: str = "127.0.0.1"
    port: int = 8080
    open_browser: bool = True
    slot_save_path: Path | None = None


class EngineSettings(msgspec.Struct, frozen=True):
    """Sizes in tokens. None: chosen by what the model and the machine allow. `max_draft` 0: nothing is guessed."""

    n_ctx: int | None = None
    n_slots: int | None = None
    n_batch: int = 2048
    n_ubatch: int = 512
    n_threads: int | None = None
    flash_attention: bool | None = None
    cache_type_k: CacheType = "f16"
    cache_type_v: CacheType = "f16"
    load: LoadSettings = msgspec.field(default_factory=LoadSettings)
    adapters: tuple[Adapter, ...] = ()
    pooling: Pooling | None = None
    context_shift: bool = False
    max_draft: int = 0


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
