"""What the program was told to do, after everything that may say so has been asked.

Later wins: the manifest, `.args`, the environment (`LOAF_PORT` for `--port`), the flags.
Refuses to know where each value came from and what is done with it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import msgspec

from runtime.bundle import Backend
from runtime.engine.checkpoints import CheckpointLimits
from runtime.engine.facts import LayerSizes
from runtime.engine.placement import SplitMode, TensorBuffer, WorkerAddress
from runtime.engine.settings import (
    CACHE_BITS,
    CacheType,
    ControlVectors,
    LoadSettings,
    Pooling,
    ProjectorSettings,
    Rope,
)
from runtime.engine.types import Sampling
from runtime.engine.weights import Adapter, Weights
from runtime.memory.sizes import Kept


class Secret(str):
    """Text that is compared and never shown, not even where a structure that holds it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(…)"


class TlsFiles(msgspec.Struct, frozen=True):
    """The certificate (or chain) and its private key, both PEM."""

    certificate: Path
    key: Path


class ServerSettings(msgspec.Struct, frozen=True):
    """Where to listen, who may call, and what is shown.

    `hosts` are addresses, names, or paths of unix sockets. `api_keys` empty: nobody is asked for one. `cors_origins`
    in lower case, "*" for all; see `access.Origins`. `socket_mode` of unix sockets, `api_prefix` before all paths ("",
    or a path without a slash at its end). `timeout` in seconds, for each of sending a request and reading an answer;
    `drain_seconds` are for what runs when the server is told to stop.
    `shows_props_changes`: whether `POST /props` is taken. `slot_save_path` None: states of slots are not kept.
    `sandbox`: what the server does not need any more once it is ready, it gives up; None: as far as that can be had.
    `file_keys` are those of `api_keys` that were in `key_file`, which may be read anew. After `sleep_seconds` without a
    request a model is unloaded; `most_models` are loaded at once, None: all.
    """

    hosts: tuple[str, ...] = ("127.0.0.1",)
    port: int = 8080
    api_keys: tuple[Secret, ...] = ()
    cors_origins: tuple[str, ...] = ()
    socket_mode: int = 0o600
    api_prefix: str = ""
    tls: TlsFiles | None = None
    timeout: float = 60.0
    drain_seconds: float = 3.0
    open_browser: bool = True
    serves_page: bool = True
    shows_slots: bool = True
    shows_metrics: bool = True
    shows_props_changes: bool = False
    slot_save_path: Path | None = None
    key_file: Path | None = None
    file_keys: tuple[Secret, ...] = ()
    sandbox: bool | None = None
    sleep_seconds: float = math.inf
    most_models: int | None = None


class WorkerSettings(msgspec.Struct, frozen=True):
    """Computing for another machine, at the server's address. `beyond_loopback`: for any that reaches it."""

    beyond_loopback: bool = False


class GpuSettings(msgspec.Struct, frozen=True):
    """Which GPUs and other machines compute, and how much of the model.

    `backend` "auto": the best that the file and the machine have; "disable": none. `devices` by their labels, None:
    chosen. `n_layers` None: as many as fit. `workers` are other machines, whose devices come before this one's.
    `main_gpu` counts among the devices that are used, `tensor_split` has a share for each of them; empty: by what is
    free. The experts of the first `cpu_experts` layers stay on the processor, None: of as many as do not fit.
    `tensor_buffers` go elsewhere than their layer. `spare` bytes of each device are left alone.
    """

    backend: Backend | Literal["auto", "disable"] = "auto"
    devices: tuple[str, ...] | None = None
    n_layers: int | None = None
    split_mode: SplitMode = "layer"
    main_gpu: int = 0
    tensor_split: tuple[float, ...] = ()
    workers: tuple[WorkerAddress, ...] = ()
    cpu_experts: int | None = None
    tensor_buffers: tuple[TensorBuffer, ...] = ()
    spare: tuple[int, ...] = ()


class DiskSettings(msgspec.Struct, frozen=True):
    """A folder of one's own, and how many bytes may be kept there."""

    folder: Path
    size: int


class EngineSettings(msgspec.Struct, frozen=True):
    """Sizes in tokens. None: chosen by what the model and the machine allow.

    `max_draft` tokens are guessed at once, 0: none; from the text where it `looks_up`, and by the model in `draft`,
    None: by the one that lies beside the weights, if one does. For `min_draft` and `least_probability` see
    `ContextSettings`.
    `shelf_bytes` of memory are for what was computed and nobody uses just now, besides the context's.
    What that has no room for goes to `disk`, None: nowhere.
    `checkpoints` bound what is kept of memories that cannot be cut, `swa_full` is as in `ContextSettings`.
    `cache_beside_layers`, `rope` and `control` too.
    `beyond_training`: whether `n_ctx` holds where it is more than the model was trained for, too. `projector` None: the
    bundle's own, where it has one and `projects`; `looking` is how pictures are looked at.
    """

    n_ctx: int | None = None
    beyond_training: bool = True
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
    shelf_bytes: int = 256 * 2**20
    disk: DiskSettings | None = None
    checkpoints: CheckpointLimits = CheckpointLimits()
    swa_full: bool = False
    max_draft: int = 16
    looks_up: bool = False
    draft: Path | None = None
    min_draft: int = 0
    least_probability: float = 0.0
    cache_beside_layers: bool = True
    rope: Rope = Rope()
    control: ControlVectors = ControlVectors()
    projector: Weights | None = None
    projects: bool = True
    looking: ProjectorSettings = ProjectorSettings()

    def kept(self, sizes: LayerSizes, n_ctx: int) -> Kept:
        """What of the text is kept in such a context, by a model of such `sizes`."""
        bits_k, bits_v = CACHE_BITS[self.cache_type_k], CACHE_BITS[self.cache_type_v]
        n_slots = self.n_slots or sizes.slots(n_ctx)
        return Kept(n_ctx, n_slots, min(self.n_ubatch, n_ctx), self.swa_full, bits_k, bits_v)


class MediaSources(msgspec.Struct, frozen=True):
    """Where pictures are fetched from, besides the request: from public `urls`, and files below `folder`."""

    urls: bool = False
    folder: Path | None = None


NOTHING_FETCHED = MediaSources()


class ChatSettings(msgspec.Struct, frozen=True):
    """How conversations become prompts, and answers become turns.

    `template` is Jinja source, None for the model's own; `template_values` are given to it. `reasoning` None: as the
    template has it. `splits_reasoning`: thoughts are given apart from the answer. After `thought_tokens` of them they
    are ended, with `thought_message` before their end; None: they may be as long as they like. `media`: where pictures
    are fetched from.
    """

    template: str | None = None
    template_values: dict[str, Any] = msgspec.field(default_factory=dict)
    reasoning: bool | None = None
    splits_reasoning: bool = True
    thought_tokens: int | None = None
    thought_message: str = ""
    media: MediaSources = NOTHING_FETCHED


class LogSettings(msgspec.Struct, frozen=True):
    """Where a log goes: standard error (`verbose`), a `file`, both or nowhere."""

    verbose: bool = False
    file: Path | None = None
    format: Literal["text", "json"] = "text"

    @property
    def is_wanted(self) -> bool:
        return self.verbose or self.file is not None


class BatchSettings(msgspec.Struct, frozen=True):
    """Requests in `input`, a line each, and where their results go. An `input` of `-` is standard input.

    `servers` are the addresses of those that answer, each asked so much `at_once`, None: as much as it says that it
    can. Where there are none, this file's models do.
    """

    input: Path
    output: Path
    servers: tuple[str, ...] = ()
    at_once: int | None = None


class HubModel(msgspec.Struct, frozen=True):
    """A repository of Hugging Face's hub, as OWNER/REPO, and which of its models; "": llama.cpp's choice."""

    repository: str
    quantization: str = ""

    def __str__(self) -> str:
        return f"{self.repository}:{self.quantization}" if self.quantization else self.repository


class WebModel(msgspec.Struct, frozen=True):
    """A GGUF at an address."""

    url: str

    def __str__(self) -> str:
        return self.url.partition("?")[0]


class Settings(msgspec.Struct, frozen=True):
    """Everything. `model` None: the weights in the bundle; `remote` are those that are to be fetched first. `worker`
    None: this machine has the model, rather than computing for one that has.

    `model` may name one of the bundle's, too, where no file is called so.
    Where there is a `prompt` or a `batch`, that is answered and nothing else done; `images` and `sounds` belong to
    the prompt.
    Otherwise the program `serves` over HTTP, and `chats` in the terminal: None, where there is one.

    `aliases` are further names of the model, `tags` words about it, both for clients. Where the bundle has several
    models, both are the first one's; see `of_another_model`. `file_name` is the bundle's, without its folder; "": none.
    """

    file_name: str = ""
    model: Path | None = None
    remote: HubModel | WebModel | None = None
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    prompt: str | None = None
    images: tuple[Path, ...] = ()
    sounds: tuple[Path, ...] = ()
    serves: bool = True
    chats: bool | None = None
    raw: bool = False
    batch: BatchSettings | None = None
    system: str | None = None
    max_tokens: int | None = None
    server: ServerSettings = msgspec.field(default_factory=ServerSettings)
    worker: WorkerSettings | None = None
    engine: EngineSettings = msgspec.field(default_factory=EngineSettings)
    gpu: GpuSettings = msgspec.field(default_factory=GpuSettings)
    chat: ChatSettings = msgspec.field(default_factory=ChatSettings)
    sampling: Sampling = msgspec.field(default_factory=Sampling)
    log: LogSettings = msgspec.field(default_factory=LogSettings)

    @property
    def loads_when_chosen(self) -> bool:
        """Whether of several models the one that is spoken with is loaded, and no other: where only the terminal chats.

        What workers have of a model stays there, so with them all are.
        """
        return not self.serves and not self.gpu.workers

    def of_another_model(self) -> Settings:
        """What of this holds for the further models of a bundle: all but what can only be meant for the first one.

        That is its names, adapters, projector, draft model, pooling and template, what is said of it and added to it,
        and a context that it was not trained for.
        """
        replace = msgspec.structs.replace
        return replace(
            self,
            aliases=(),
            tags=(),
            engine=replace(
                self.engine,
                adapters=(),
                projector=None,
                draft=None,
                pooling=None,
                beyond_training=False,
                rope=Rope(),
                control=ControlVectors(),
                load=replace(self.engine.load, overrides=()),
            ),
            chat=replace(self.chat, template=None, template_values={}),
        )
