"""What can go wrong in the engine.

LoafError
└── EngineError
    ├── ModelLoadFailed      llama.cpp does not take the weights
    ├── BackendFailed        a GPU's backend cannot be used
    ├── AdapterFailed        llama.cpp does not take the adapter
    ├── ProjectorFailed      llama.cpp does not take the projector
    ├── PictureUnusable      the projector cannot look at the picture
    ├── SoundUnusable        the projector cannot listen to the sound
    ├── PictureLast          nothing comes after the picture or sound
    ├── PictureTooLarge      it takes more cells than can be computed at once
    ├── DraftMisfit          the draft model cannot guess for the model
    ├── ContextFailed        no context of this size can be made
    ├── StillLoading         no request can be taken yet
    ├── ModelAsleep          the model is unloaded, until somebody asks for it
    ├── CannotWake           it was, and cannot be loaded again
    ├── WorkerLost           another machine that computed a part of the model is gone
    ├── LoadAborted          the program is being stopped while it loads
    ├── PromptTooLong        the prompt does not fit the context
    ├── EmptyPrompt          there is nothing to continue
    ├── TextTooLong          a text is longer than can be turned into one vector
    ├── CannotEmbedPieces    the model makes vectors of text only
    ├── CannotGenerate       the model only makes vectors
    ├── UnknownSlot          there is no such sequence
    ├── SlotBusy             the sequence is in use
    ├── StateFailed          a sequence cannot be saved or restored
    ├── FolderNotPrivate     others may look into what is kept on disk
    ├── GrammarInvalid       the grammar cannot be parsed
    ├── GrammarTooCostly     following the grammar would hold up everybody else
    ├── GrammarStuck         the grammar lets no token come next
    ├── QueueFull            too many requests wait already
    ├── EngineStopped        the engine is shutting down
    ├── EngineBroken         a bug has stopped the engine
    └── DecodeFailed         llama.cpp could not compute a batch
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from runtime.errors import LoafError


class EngineError(LoafError):
    """The root of what the engine raises."""


class ModelLoadFailed(EngineError):
    """`reason` is what llama.cpp logged last."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: llama.cpp cannot load these weights: {reason or 'it gave no reason'}",
            "An 'unknown model architecture' needs a newer loaf; anything else, whole weights of a model: "
            f"loaf inspect {path.name} says what the file is.",
        )
        self.path = path
        self.reason = reason


class BackendFailed(EngineError):
    """`reason` is the loader's, or what the backend logged last."""

    def __init__(self, library: Path, reason: str) -> None:
        super().__init__(
            f"{library.name} cannot be used: {reason}", "Without it, the processor computes: --device none."
        )
        self.library = library
        self.reason = reason


class AdapterFailed(EngineError):
    """`name` is the adapter's, `reason` what llama.cpp logged last."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"{name}: llama.cpp cannot load this LoRA adapter: {reason or 'it gave no reason'}",
            "It must be a GGUF made for the very model it is used with.",
        )
        self.name = name
        self.reason = reason


class ControlVectorFailed(EngineError):
    """`reason` continues a sentence that begins with the file's `path`."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: the file of a control vector {reason}",
            "It must be a GGUF made for the very model it is used with.",
        )
        self.path = path
        self.reason = reason


class ProjectorFailed(EngineError):
    """`reason` is what libmtmd logged last."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: llama.cpp cannot load this projector: {reason or 'it gave no reason'}",
            "It must be a GGUF made for the very model it is used with.",
        )
        self.path = path
        self.reason = reason


class DraftMisfit(EngineError):
    """The draft model in `path` cannot guess for the model, for `reason`."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path.name} cannot be the draft model: {reason}",
            "A draft model has the tokens of the model that it guesses for: take a smaller one of the same family.",
        )
        self.path = path
        self.reason = reason


class PictureUnusable(EngineError):
    """`reason` is what libmtmd logged last."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the model cannot look at this picture: {reason}", "Send another one, or the same smaller.")
        self.reason = reason


class SoundUnusable(EngineError):
    """`reason` is what libmtmd logged last."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the model cannot listen to this sound: {reason}", "Send another one.")
        self.reason = reason


class PictureLast(EngineError):
    """What comes next is told by a text's last token, and the prompt has none after its picture or sound."""

    def __init__(self) -> None:
        super().__init__("the prompt ends with a picture or a sound", "Let a text follow.")


class PictureTooLarge(EngineError):
    """The picture takes `n_cells`, and `most` can be computed at once."""

    def __init__(self, n_cells: int, most: int) -> None:
        super().__init__(
            f"the picture takes {n_cells:,} tokens, and this model must look at all of them at once: {most:,} at most",
            f"Send it smaller, or start with --ubatch-size {n_cells} or --image-max-tokens {most}.",
        )
        self.n_cells = n_cells
        self.most = most


class ContextFailed(EngineError):
    """`n_ctx` in tokens, `reason` what llama.cpp logged, `free` the bytes of memory that were available.

    `needs`: how many bytes are needed, where that was known before it was tried.
    """

    def __init__(self, n_ctx: int, reason: str, free: int = 0, needs: int | None = None) -> None:
        wanted = _wanted(reason) if needs is None else needs
        why = reason or "not enough memory"
        if wanted is not None:
            why = f"it needs {wanted / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free"
        super().__init__(
            f"cannot make a context of {n_ctx:,} tokens: {why}",
            "Ask for a smaller one with --ctx-size, or for smaller keys and values with --cache-type-k and -v.",
        )
        self.n_ctx = n_ctx
        self.reason = reason
        self.free = free
        self.needs = needs


def _wanted(reason: str) -> float | None:
    """Bytes, where llama.cpp names them: ggml_aligned_malloc in ggml/src/ggml.c says how many MiB it wanted."""
    wanted = re.search(r"attempted to allocate ([\d.]+) MB", reason)
    return None if wanted is None else float(wanted[1]) * 2**20


class StillLoading(EngineError):
    """The weights are being loaded. `progress`: the share that has been, from 0 to 1, where it was looked at."""

    def __init__(self, progress: float | None = None) -> None:
        super().__init__("Loading model", "Try again in a moment; /health says how far it is.")
        self.progress = progress


class ModelAsleep(EngineError):
    """The model of `engine` is unloaded while nobody asks for it: whoever does has it loaded again, and asks again."""

    def __init__(self, engine: object) -> None:
        super().__init__("the model is asleep", "Ask again: it is loaded for whoever asks.")
        self.engine = engine


class CannotWake(EngineError):
    """The model, which was unloaded while nobody asked for it, cannot be loaded again; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the model, which was asleep, cannot be loaded again: {reason}",
            "The next request tries again; a changed file needs a new start.",
        )
        self.reason = reason


class WorkerLost(EngineError):
    """The connection to one of `--rpc`'s workers broke: what this process has of the model is of no use any more."""

    def __init__(self, worker: str, reason: str) -> None:
        super().__init__(
            f"the worker {worker} is lost: {reason}",
            "Start it again there. A server is degraded until then, and begins anew when all its workers answer.",
        )
        self.worker = worker
        self.reason = reason


class LoadAborted(EngineError):
    """Raised in the loading thread when the program is told to stop."""

    def __init__(self) -> None:
        super().__init__("loading was stopped", "Start it again.")


class PromptTooLong(EngineError):
    """Both in tokens; the prompt has so many at least, where it is too long to be turned into any."""

    def __init__(self, n_prompt: int, n_ctx: int) -> None:
        super().__init__(
            f"the request ({n_prompt:,} tokens) exceeds the available context size ({n_ctx:,} tokens)",
            "Shorten the prompt, or start with a larger --ctx-size.",
        )
        self.n_prompt = n_prompt
        self.n_ctx = n_ctx


class EmptyPrompt(EngineError):
    """The prompt comes to no tokens at all."""

    def __init__(self) -> None:
        super().__init__("the prompt is empty", "Send at least one character.")


class TextTooLong(EngineError):
    """Both in tokens."""

    def __init__(self, n_text: int, limit: int) -> None:
        super().__init__(
            f"a text has {n_text:,} tokens, and at most {limit:,} can be turned into one vector",
            "Split the text; where the model allows more, start with a larger --ubatch-size.",
        )
        self.n_text = n_text
        self.limit = limit


class CannotEmbedPieces(EngineError):
    """A picture or sound is computed by itself, after what comes before it: what looks ahead cannot see it.

    And what is scored is one text with another.
    """

    def __init__(self) -> None:
        super().__init__(
            "this model makes vectors of text only: it looks at all of a text at once, and pictures and sounds are "
            "computed one by one",
            "Send text, or ask a model that generates: it reads from the beginning on.",
        )


class CannotGenerate(EngineError):
    """An encoder was asked to continue a text. `others` are models of the same bundle that can."""

    def __init__(self, others: Sequence[str] = ()) -> None:
        named = " or ".join(others) or "another model"
        super().__init__("this model only makes embeddings", f"Ask {named} to generate text.")
        self.others = tuple(others)


class UnknownSlot(EngineError):
    """There are `n_slots`, from 0 on."""

    def __init__(self, slot: int, n_slots: int) -> None:
        super().__init__(f"there is no slot {slot}", f"They are numbered 0 to {n_slots - 1}.")
        self.slot = slot
        self.n_slots = n_slots


class SlotBusy(EngineError):
    """`slot` is its number. Who asked is let wait until it is free."""

    def __init__(self, slot: int) -> None:
        super().__init__(f"slot {slot} is in use by a running request", "Wait until that has ended.")
        self.slot = slot


class StateFailed(EngineError):
    """The state of a sequence could not be saved to `path`, or restored from there."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.name}: {reason}", "A state fits the model and the cache types that it was saved with.")
        self.path = path
        self.reason = reason


class FolderNotPrivate(EngineError):
    """States of conversations hold what was said: the `folder` for them must be one's own alone."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"--cache-disk: {folder}: others may look into this folder, or it is another user's",
            f"Name one that is not there yet, or: chmod 700 {folder}",
        )
        self.folder = folder


class GrammarInvalid(EngineError):
    """The grammar cannot be parsed, or a rule begins with itself. `reason` says where, if that is known."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(
            f"the grammar cannot be parsed{reason and f': {reason}'}", "It must be in GBNF, with a rule named root."
        )
        self.reason = reason


class GrammarTooCostly(EngineError):
    """`reason` says what there is too much of."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the grammar takes too long to follow: {reason}",
            "Let each text have one way to be read: put before alternatives what all of them begin with.",
        )
        self.reason = reason


class GrammarStuck(EngineError):
    """No token of the vocabulary continues what the grammar allows."""

    def __init__(self) -> None:
        super().__init__(
            "the grammar allows nothing that this model could say next",
            "Let it allow characters that the model's vocabulary has, or an end.",
        )


class QueueFull(EngineError):
    """`waiting` requests are queued already."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} requests are waiting already", "Try again in a moment.")
        self.waiting = waiting


class OriginsShareFull(EngineError):
    """`waiting` requests are queued already that come from where this one does: the other places are for others."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} requests of yours are waiting already", "Try again in a moment.")
        self.waiting = waiting


class EngineStopped(EngineError):
    """The request cannot be finished any more: the program was told to stop, or is stopping for another reason."""

    def __init__(self) -> None:
        super().__init__("the server is shutting down", "Ask again when it is back: what came is not complete.")


class EngineBroken(EngineError):
    """A bug has stopped the engine, and with it the program, which ends with the bug on standard error."""

    def __init__(self) -> None:
        super().__init__("a bug has stopped the engine", "Start it again; what was said last on standard error is why.")


class DecodeFailed(EngineError):
    """`code` is what llama_decode returned."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(
            f"llama.cpp failed to compute a batch (code {code}): {reason or 'no reason given'}",
            "Where memory is short, start it with a smaller --ctx-size or --ubatch-size.",
        )
        self.code = code
