"""What the engine needs of a model: `llama/` has it, and so has the tests' fake.

This is the engine's boundary: structures that cross it, and what is asked across it. Nothing above knows llama.cpp.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol, get_args

import msgspec

from runtime.engine.pieces import Piece, Seen
from runtime.engine.types import Probabilities, Sampling
from runtime.memory.layers import LayerCache
from runtime.memory.sizes import Kept, cache_sizes, choose_slots, keeps_state

_FIRST_PART = re.compile(r"-00001-of-(\d{5})\.gguf$")
"""What the first part of a split GGUF is called at its end (`llama_split_path` in llama.cpp's src/llama.cpp)."""


class Weights(msgspec.Struct, frozen=True):
    """A GGUF that begins `offset` bytes into the file `path`: a bundle, or at 0 a file of its own.

    Where it is the first part of a split one, the others lie beside it. `size` in bytes, None: to the file's end.
    """

    path: Path
    offset: int = 0
    size: int | None = None

    def is_split(self) -> bool:
        return not self.offset and _FIRST_PART.search(self.path.name) is not None

    def parts(self) -> tuple[Path, ...]:
        """The file, or all parts of the GGUF that it is the first of, where they should be."""
        match = _FIRST_PART.search(self.path.name) if self.is_split() else None
        if match is None:
            return (self.path,)
        stem, count = self.path.name[: match.start()], int(match[1])
        return tuple(self.path.with_name(f"{stem}-{part:05}-of-{count:05}.gguf") for part in range(1, count + 1))


class StateFile(msgspec.Struct, frozen=True):
    """The saved state of a sequence: `size` bytes of the file `path` from `offset` on; None: the whole file."""

    path: Path
    offset: int = 0
    size: int | None = None


class PartialState(msgspec.Struct, frozen=True, eq=False):
    """What a memory cannot go back to by being cut, as it was after the first `length` tokens of a sequence."""

    length: int
    state: memoryview


class SavedSequence(msgspec.Struct, frozen=True):
    """What was in a file: a sequence of `tokens`, and what can be gone back to along them, ascending."""

    tokens: tuple[int, ...]
    checkpoints: tuple[PartialState, ...] = ()


class Warmth(msgspec.Struct, frozen=True):
    """What was computed before the launch of prompts that begin with `tokens`, with the adapters at `scales`.

    Its state is in `file`; None: there is nothing that can be used. It can be gone back to the first so many tokens as
    `checkpoints` say, where the memory cannot be cut. `line` tells people of it, "" where there is nothing to say.
    """

    tokens: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    file: StateFile | None = None
    line: str = ""
    checkpoints: tuple[int, ...] = ()


NOTHING_WARM = Warmth()


class Adapter(msgspec.Struct, frozen=True):
    """A LoRA adapter: its name for people, its weights, and how strongly it is applied unless told otherwise."""

    name: str
    weights: Weights
    scale: float = 1.0


class ProjectorSettings(msgspec.Struct, frozen=True):
    """How pictures are looked at: with a GPU where there is one, and as how many tokens, None: as its family has it."""

    use_gpu: bool = False
    min_tokens: int | None = None
    max_tokens: int | None = None


NumaStrategy = Literal["distribute", "isolate", "numactl"]
"""Where threads run on a machine of several NUMA nodes: ggml's `ggml_numa_strategy`, from 1 on."""


class MetadataOverride(msgspec.Struct, frozen=True):
    """What the model is taken to say of itself by `key`, whatever its GGUF says there."""

    key: str
    value: bool | int | float | str


class LoadSettings(msgspec.Struct, frozen=True):
    """How weights come into memory: mapped or read, locked there or not, repacked for the processor or not.

    `numa` None: threads run where the system puts them. `overrides` are said of the model in place of
    what its GGUF says.
    """

    mmap: bool = True
    mlock: bool = False
    repack: bool = True
    numa: NumaStrategy | None = None
    overrides: tuple[MetadataOverride, ...] = ()


SplitMode = Literal["none", "layer"]
"""How several devices share a model: llama.cpp's `llama_split_mode`, in its order."""


class WorkerAddress(msgspec.Struct, frozen=True):
    """Where another machine computes for this one, by llama.cpp's RPC protocol: a name or an IPv4 address, and a port.

    `label` is what people are told where they gave it otherwise.
    """

    host: str
    port: int
    label: str = ""

    @property
    def endpoint(self) -> str:
        """As ggml wants it."""
        return f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return self.label or self.endpoint


EXPERTS_PATTERN = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""The weights of a mixture's experts, by the names of their tensors: LLM_FFN_EXPS_REGEX in llama.cpp's common.h."""

EXPERTS = re.compile(EXPERTS_PATTERN.encode())


PROCESSOR = "CPU"
"""What ggml calls the processor's memory."""


class TensorBuffer(msgspec.Struct, frozen=True):
    """Tensors whose names match `pattern` (ECMAScript, somewhere in them) go to what ggml calls `buffer`: "CPU"."""

    pattern: str
    buffer: str


class Offload(msgspec.Struct, frozen=True):
    """Layers on GPUs and on other machines: the last `n_layers`, counting the output as one.

    They go to all devices of `workers`, then to those of the backend in `library`: `numbers` are these as ggml's
    registry of that backend counts them. `tensor_split` has a share for each, empty: by what is free there; `main_gpu`
    is an index into them, for `split_mode` none. `tensor_buffers` go elsewhere than their layer, the first that
    matches counts; the experts of the first `cpu_experts` layers stay on the processor.
    """

    library: Path | None
    numbers: tuple[int, ...]
    n_layers: int
    split_mode: SplitMode = "layer"
    main_gpu: int = 0
    tensor_split: tuple[float, ...] = ()
    workers: tuple[WorkerAddress, ...] = ()
    tensor_buffers: tuple[TensorBuffer, ...] = ()
    cpu_experts: int = 0

    def buffers(self) -> tuple[TensorBuffer, ...]:
        """All that goes elsewhere, experts too."""
        of_layers = (rf"blk\.{layer}{EXPERTS_PATTERN}" for layer in range(self.cpu_experts))
        return (*self.tensor_buffers, *(TensorBuffer(pattern, PROCESSOR) for pattern in of_layers))


class Verdict(msgspec.Struct, frozen=True):
    """Whether a backend, by its name for people, computes, and why in a clause."""

    backend: str
    is_taken: bool
    reason: str


class Placement(msgspec.Struct, frozen=True):
    """Where a model computes, and why, in lines for people. `n_ctx`: what context fits there; None: anything.

    `offload` None: on the processor, with no GPU's backend loaded. `is_whole`: nothing is left for the processor.
    `verdicts` are on the backends that the file has packs for, as far as they were asked.
    """

    offload: Offload | None = None
    n_ctx: int | None = None
    is_whole: bool = False
    lines: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def n_layers(self) -> int:
        """Layers on GPUs, counting the output as one."""
        return self.offload.n_layers if self.offload is not None else 0


ON_THE_PROCESSOR = Placement()
"""With nothing to be said of it."""


class LayerSizes(msgspec.Struct, frozen=True):
    """What a GGUF says of its layers, before it is loaded. All in bytes, but `n_ctx_train`.

    `layers` are the weights of each, of which `experts` are those of a mixture's experts, `output` of what comes after
    the last; `caches` what each keeps of the text.
    `widest` is the most that one token takes of scratch memory: logits, or activations.
    """

    layers: tuple[int, ...]
    output: int
    caches: tuple[LayerCache, ...]
    widest: int
    n_ctx_train: int
    experts: tuple[int, ...] = ()

    def cache(self, kept: Kept) -> tuple[int, ...]:
        """What each layer's part of the cache takes. There may be more than `layers`, where the GGUF is split."""
        sizes = cache_sizes(self.caches, kept)
        return (*sizes, *[0] * (len(self.layers) - len(sizes)))

    def without_experts(self, n_layers: int) -> LayerSizes:
        """The same where the experts of the first `n_layers` are somewhere else."""
        elsewhere = (*self.experts[:n_layers], *[0] * len(self.layers))
        layers = tuple(size - experts for size, experts in zip(self.layers, elsewhere, strict=False))
        return msgspec.structs.replace(self, layers=layers)

    def slots(self, n_ctx: int) -> int:
        """How many requests run at once in such a context, where nobody says."""
        return choose_slots(n_ctx, keeps_state=keeps_state(self.caches))

    def scratch(self, n_ctx: int, n_ubatch: int) -> int:
        """Rough and rather too much: what `n_ubatch` tokens are computed in, and the mask of attention in F16."""
        return n_ubatch * (self.widest + 2 * n_ctx)


CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
"""What K and V can be kept as; llama-server's list."""

CACHE_BITS: dict[CacheType, float] = {
    "f32": 32, "f16": 16, "bf16": 16, "q8_0": 8.5, "q5_1": 6, "q5_0": 5.5, "q4_1": 5, "q4_0": 4.5, "iq4_nl": 4.5,
}  # fmt: skip
"""Bits a value: block_q8_0 is 34 bytes for 32 values, and so on (ggml-common.h)."""

Pooling = Literal["none", "mean", "cls", "last", "rank"]
"""How the vectors of a text's tokens become one."""

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
"""The same in the order of llama.cpp's `llama_pooling_type`, from 0 on."""


RopeScaling = Literal["none", "linear", "yarn"]
"""How positions beyond the training are told: llama.cpp's `llama_rope_scaling_type`, in its order."""


class Rope(msgspec.Struct, frozen=True):
    """How positions are told (RoPE), and those beyond the training (YaRN, arXiv 2309.00071); None: as the model says.

    `freq_scale` is one by what a context grows; `yarn_orig_ctx` counts tokens.
    """

    scaling: RopeScaling | None = None
    freq_base: float | None = None
    freq_scale: float | None = None
    yarn_orig_ctx: int | None = None
    yarn_ext_factor: float | None = None
    yarn_attn_factor: float | None = None
    yarn_beta_fast: float | None = None
    yarn_beta_slow: float | None = None


class ControlVectors(msgspec.Struct, frozen=True):
    """What is added to the activations between layers: the sum of vectors in files, each as strongly as its scale.

    Only behind the layers from `first` to `last`, both included, None: to the end. A GGUF has them as `direction.N`.
    """

    files: tuple[tuple[Path, float], ...] = ()
    first: int = 1
    last: int | None = None


ContextSource = Literal["flag", "model", "memory", "device"]
"""What the size of a context comes from: a flag, the model's training, or what fits in memory or on the GPUs."""


class ContextSettings(msgspec.Struct, frozen=True):
    """Sizes in tokens; `n_slots` sequences share `n_ctx` of them. `flash_attention` None: where it can be used.

    `max_draft` tokens may be guessed for each sequence and step, from its own text where it `looks_up`; `pooling` None:
    what the model says. A draft model guesses no token of less than `least_probability`, nor fewer than `min_draft` at
    once. With `swa_full`, layers with a sliding window keep all tokens, too. With `gives_way` fewer than `n_threads`
    compute while others need the processors. `cache_beside_layers`: what is kept of the text is where its layer is, on
    a GPU; else in memory.
    """

    n_ctx: int
    n_slots: int
    n_batch: int
    n_ubatch: int
    n_threads: int
    flash_attention: bool | None = None
    cache_type_k: CacheType = "f16"
    cache_type_v: CacheType = "f16"
    max_draft: int = 0
    looks_up: bool = False
    min_draft: int = 0
    least_probability: float = 0.0
    swa_full: bool = False
    pooling: Pooling | None = None
    n_ctx_source: ContextSource = "flag"
    gives_way: bool = False
    cache_beside_layers: bool = True
    rope: Rope = Rope()
    control: ControlVectors = ControlVectors()

    def kept(self) -> Kept:
        """What of the text is kept then."""
        bits_k, bits_v = CACHE_BITS[self.cache_type_k], CACHE_BITS[self.cache_type_v]
        return Kept(self.n_ctx, self.n_slots, self.n_ubatch, self.swa_full, bits_k, bits_v)


class BatchItem(msgspec.Struct, frozen=True):
    """`tokens` of the sequence in `slot`, at positions from `position` on; logits after the last `outputs` of them.

    Positions are what a memory counts in. A text has as many as tokens, a picture may have fewer.
    """

    slot: int
    position: int
    tokens: tuple[int, ...]
    outputs: int


class InfillTokens(msgspec.Struct, frozen=True):
    """Tokens that a model for code marks a gap with. `repository`, `file` and `bos` None: it has or wants none."""

    prefix: int
    suffix: int
    middle: int
    repository: int | None = None
    file: int | None = None
    bos: int | None = None

    def prompt(self, prefix: Sequence[int], suffix: Sequence[int]) -> tuple[int, ...]:
        """After which the middle comes: llama-server's order (`format_prompt_infill`, server-common.cpp)."""
        begin = () if self.bos is None else (self.bos,)
        return (*begin, self.prefix, *prefix, self.suffix, *suffix, self.middle)


class ModelFacts(msgspec.Struct, frozen=True):
    """What the weights say of themselves.

    `repacked` bytes of the weights are in memory of their own, laid out for this processor. `keeps_state` instead of,
    or besides, a cell for each token: recurrent and hybrid models, whose sequences cannot be cut. Some layers see the
    last `window` tokens only; 0: all see all. `quantization` as people name it ("Q4_K_M"), "unknown" where nobody can
    tell; `license` "" where none is named. `infill` None for a model that has not learnt to fill gaps, `pooling` None
    for one that does not say. `ends` are the tokens that end a generation. `skips_positions`: pictures may take fewer
    positions than cells (M-RoPE).
    """

    description: str
    architecture: str
    quantization: str
    license: str
    size: int
    parameter_count: int
    vocabulary_size: int
    n_ctx_train: int
    embedding_length: int
    keeps_state: bool
    repacked: int
    window: int
    adds_bos: bool
    bos: str
    eos: str
    chat_template: str | None
    infill: InfillTokens | None = None
    pooling: Pooling | None = None
    ends: tuple[int, ...] = ()
    skips_positions: bool = False


class Pixels(msgspec.Struct, frozen=True):
    """A picture: `width` times `height` of them, row by row from the top, 3 bytes each: red, green, blue.

    `digest` tells pictures apart: 32 bytes, of the file that it was read from.
    """

    digest: bytes
    width: int
    height: int
    data: bytes


class Projector(Protocol):
    """What a model sees with. Methods as in `llama/projector.py`; any thread may ask."""

    @property
    def sees(self) -> bool: ...
    @property
    def hears(self) -> bool: ...
    @property
    def line(self) -> str: ...
    def seen(self, digest: bytes) -> Seen | None: ...
    def see(self, picture: Pixels) -> Seen: ...


Vectors = tuple["array[float]", ...]
"""One vector of 32-bit floats for a text; with pooling `none`, one for each of its tokens; with `rank`, its scores."""


class Embedded(msgspec.Struct, frozen=True):
    """The vectors of each text, in order, and how they came to be one for each text, if they are."""

    vectors: tuple[Vectors, ...]
    pooling: Pooling


class PoolFull(Exception):
    """No room in the KV pool for the batch; nothing of it was computed."""


class Sampled(msgspec.Struct, frozen=True):
    """A sampled token, and the probabilities it was one of where they were asked for."""

    token: int
    probabilities: Probabilities | None = None


class Sampler(Protocol):
    """Chooses the tokens of one sequence, and remembers them. Methods as in `llama/sampler.py`."""

    def sample(self, output: int) -> Sampled: ...
    def close(self) -> None: ...


class Model(Protocol):
    """Loaded weights and their vocabulary. Methods as in `llama/model.py`; any thread may ask."""

    facts: ModelFacts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]: ...
    def check_room(self, n_bytes: int) -> None: ...
    def piece(self, token: int, *, special: bool = False) -> bytes: ...
    def ends_generation(self, token: int) -> bool: ...
    def rerank_prompt(self, query: str, document: str) -> tuple[int, ...]: ...


class Generator(Protocol):
    """A KV pool and what is computed in it. Methods as in `llama/context.py`; one thread only, but `interrupt`."""

    @property
    def n_ctx(self) -> int: ...
    @property
    def settings(self) -> ContextSettings: ...
    def new_sampler(self, sampling: Sampling, prompt: Sequence[int]) -> Sampler: ...
    def decode(self, items: Sequence[BatchItem], scales: tuple[float, ...]) -> dict[int, int]: ...
    def decode_next(self, tokens: Sequence[int], scales: tuple[float, ...]) -> range: ...
    def is_encoded(self, piece: Piece) -> bool: ...
    def encode(self, piece: Piece, meanwhile: Callable[[], bool]) -> bool: ...
    def decode_piece(
        self, slot: int, position: int, piece: Piece, scales: tuple[float, ...], meanwhile: Callable[[], bool]
    ) -> bool: ...
    def holds(self, slot: int, length: int) -> bool: ...
    def keep_prefix(self, slot: int, length: int) -> bool: ...
    def copy_prefix(self, source: int, target: int, length: int) -> bool: ...
    def checkpoint(self, slot: int) -> memoryview | None: ...
    def go_back(self, slot: int, length: int, checkpoint: memoryview) -> bool: ...
    def state_size(self, slot: int) -> int: ...
    def state(self, slot: int) -> memoryview | None: ...
    def set_state(self, slot: int, state: memoryview) -> bool: ...
    def save(self, slot: int, saved: SavedSequence, path: Path) -> int: ...
    def saved_tokens(self, file: StateFile) -> tuple[int, ...]: ...
    def saved_checkpoints(self, file: StateFile) -> tuple[int, ...]: ...
    def restore(self, slot: int, file: StateFile) -> SavedSequence: ...


class Drafter(msgspec.Struct, frozen=True):
    """A model that guesses what another one says next, with a pool of its own for as many sequences.

    It was loaded from `weights`.
    """

    weights: Weights
    model: Model
    context: Generator


class Embedder(Protocol):
    """Turns texts into vectors, many at once. Methods as in `llama/embedder.py`; one thread only, but `interrupt`."""

    @property
    def pooling(self) -> Pooling: ...
    @property
    def max_texts(self) -> int: ...
    @property
    def max_batch(self) -> int: ...
    def embed(self, texts: Sequence[tuple[int, ...]], scales: tuple[float, ...]) -> tuple[Vectors, ...]: ...


class Backend(Protocol):
    """A model, and what it can be asked for: text, vectors, or both.

    `generator` is None for a model that only makes vectors. `adapters` can be applied to either. `placement` says where
    it computes, `scratch` how many bytes computing takes besides weights and context, by the name of each memory.
    `warmth` is what need not be computed any more; `drafter` guesses for the generator. `n_threads` compute now.
    `projector` None: it does not see or hear.
    `longest_text` in tokens is the longest that can be turned into a vector.
    """

    @property
    def model(self) -> Model: ...
    @property
    def generator(self) -> Generator | None: ...
    @property
    def projector(self) -> Projector | None: ...
    @property
    def adapters(self) -> tuple[Adapter, ...]: ...
    @property
    def placement(self) -> Placement: ...
    @property
    def scratch(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def warmth(self) -> Warmth: ...
    @property
    def drafter(self) -> Drafter | None: ...
    @property
    def n_threads(self) -> int: ...
    @property
    def longest_text(self) -> int: ...
    def embedder(self) -> Embedder: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...
