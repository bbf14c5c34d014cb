"""Weights, and what goes with them, that cannot be had or do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.text import human_size
from runtime.errors import LoafError


class SourceError(LoafError):
    """The weights that MODEL names cannot be had."""


class SourceNotFound(SourceError):
    """`model` is what the user wrote."""

    def __init__(self, model: str, problem: str, hint: str) -> None:
        super().__init__(f"{model}: {problem}", hint)
        self.model = model


@dataclass(frozen=True, slots=True)
class Found:
    """A model that could be meant: what to write on the command line for it, and its size in bytes."""

    spec: str
    size: int


_LISTED = 20
"""Choices: more say less."""


class SourceAmbiguous(SourceError):
    """`model` could mean each of `choices`."""

    def __init__(self, model: str, choices: Sequence[Found]) -> None:
        listed = [f"  {choice.spec}  ({human_size(choice.size)})" for choice in choices[:_LISTED]]
        if len(choices) > _LISTED:
            listed.append(f"  and {len(choices) - _LISTED} more")
        super().__init__(f"{model}: could be any of {len(choices)}", "\n".join(["Name one of them:", *listed]))
        self.model = model
        self.choices = tuple(choices)


class DownloadFailed(SourceError):
    """`source` could not be fetched to its end, however often it was tried; or never reached: `no_network`."""

    def __init__(self, source: str, reason: str, *, no_network: bool = False) -> None:
        hint = (
            "Check the network; HTTPS_PROXY names a proxy, HF_ENDPOINT a mirror of Hugging Face's hub."
            if no_network
            else "Try again: what has been downloaded is kept and gone on with."
        )
        super().__init__(f"{source}: the download failed: {reason}", hint)
        self.source = source
        self.reason = reason


class DigestMismatch(SourceError):
    """The bytes of `source` are not what their owner says they are."""

    def __init__(self, source: str, hint: str) -> None:
        super().__init__(f"{source}: is damaged: it does not have the size or digest that it should have", hint)
        self.source = source


class AnotherDigest(SourceError):
    """The weights of `model` are not those that were asked for. Both in hex."""

    def __init__(self, model: str, wanted: str, found: str) -> None:
        super().__init__(
            f"{model}: its weights have the SHA-256 {found}, and {wanted} was asked for",
            "Where the weights were meant to change, write the new one.",
        )
        self.model = model
        self.wanted = wanted
        self.found = found


class SourceChanged(SourceError):
    """A file was changed, or became shorter, while it was read."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: changed while it was read", "Something is writing to it: build again when that is done."
        )
        self.path = path


class NotAModel(SourceError):
    """The GGUF holds something else: an adapter, a projector, a vocabulary."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(f"{path}: holds {kind}, not a model", "Name the .gguf of the model that it belongs to.")
        self.path = path
        self.kind = kind


class NameTaken(SourceError):
    """Two models of one bundle would be called `name`; `model` is the second, as the user wrote it."""

    def __init__(self, name: str, model: str) -> None:
        super().__init__(f"{model}: another model of the bundle is called {name}", "Name this one: --also NAME=MODEL.")
        self.name = name
        self.model = model


class GivenTwice(SourceError):
    """`model`, as the user wrote it, is the model `name` of the bundle already."""

    def __init__(self, model: str, name: str) -> None:
        super().__init__(
            f"{model}: is in the bundle already, as {name}",
            "One model may have several names: --args '--alias NAME,NAME'. It generates and makes vectors alike.",
        )
        self.model = model
        self.name = name


class PartMisfit(SourceError):
    """The adapter, projector or draft model in `path` cannot go with the model."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}", "Name one that was made for this very model.")
        self.path = path
        self.problem = problem


class PartNameTaken(SourceError):
    """Two adapters of one bundle would be called `name`; `path` is the second."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(
            f"{path}: another adapter of the bundle is called {name}",
            "They are told apart by their files' names: rename one.",
        )
        self.path = path
        self.name = name
