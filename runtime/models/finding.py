"""Which weights are to be served: those in the bundle, with what lies beside them, or those that a flag names.

A flag names a file, or one of the bundle's models.

Refuses to know what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.bundle import Bundle, Model, check_beside
from runtime.engine.weights import Adapter, Weights
from runtime.errors import LoafError


class NoModel(LoafError):
    """There are no weights: the program was not launched from a bundle, and none were named."""

    def __init__(self) -> None:
        super().__init__("no model", "Name one with -m FILE.gguf, or run a bundle.")


class NoSuchModel(LoafError):
    """`name` is neither a file nor one of the `inside`, the bundle's models."""

    def __init__(self, name: str, inside: Sequence[str]) -> None:
        super().__init__(
            f"{name} is neither a file nor a model in this one",
            f"Inside are {', '.join(inside)}: -m {inside[-1]} names one of them, -m FILE.gguf another.",
        )
        self.name = name
        self.inside = tuple(inside)


class Draft(msgspec.Struct, frozen=True):
    """Weights of `size` bytes that guess for others."""

    weights: Weights
    size: int


class Found(msgspec.Struct, frozen=True):
    """Weights to be served, with the adapters, the draft model and the projector that lie beside them.

    `keeps_cache`: whether computing with them takes memory for each token. `is_first` of the bundle's models.
    """

    name: str
    weights: Weights
    size: int
    digest: str
    keeps_cache: bool
    adapters: tuple[Adapter, ...] = ()
    draft: Draft | None = None
    is_first: bool = False
    projector: Weights | None = None


def find_weights(bundle: Bundle | None, outside: Path | None) -> list[Found]:
    """Those in the file `outside`, or the bundle's model of this name; else all of the bundle's.

    Raises `NoModel`, `NoSuchModel`, `WeightsNotBeside`, `OSError`.
    """
    if outside is not None and (bundle is None or _is_file(outside)):
        weights, size = _outside(outside)
        return [Found(outside.stem, weights, size, "", keeps_cache=True)]
    if bundle is None:
        raise NoModel
    inside = bundle.served_models()
    named = [(number, model) for number, model in enumerate(inside) if outside is None or model.name == str(outside)]
    if not named:
        raise NoSuchModel(str(outside), [model.name for model in inside])
    check_beside(bundle)
    return [_found(bundle, model, is_first=number == 0) for number, model in named]


def _is_file(outside: Path) -> bool:
    """Whether a file is meant, rather than a model by its name: where there is one, or it is written as one."""
    return outside.exists() or len(outside.parts) > 1 or outside.suffix.lower() == ".gguf"


def find_draft(path: Path) -> Draft:
    """Those in the file `path`. Raises `OSError`."""
    return Draft(*_outside(path))


def _outside(path: Path) -> tuple[Weights, int]:
    with path.open("rb"):  # says now what is wrong with it, in the system's words
        pass
    weights = Weights(path)
    return weights, _size(weights)


def _found(bundle: Bundle, model: Model, *, is_first: bool) -> Found:
    weights = _weights(bundle, model)
    size = _size(weights) if weights.is_split() else bundle.place_of(model.entry).size
    digest = next(entry.sha256 for entry in bundle.manifest.entries if entry.name == model.entry)
    adapters = _adapters(bundle) if is_first else ()
    projector = _projector(bundle) if is_first else None
    draft = bundle.draft() if is_first else None
    guesses = None if draft is None else Draft(_weights(bundle, draft), bundle.place_of(draft.entry).size)
    return Found(model.name, weights, size, digest, model.keeps_cache, adapters, guesses, is_first, projector)


def _size(weights: Weights) -> int:
    return sum(part.stat().st_size for part in weights.parts())


def _weights(bundle: Bundle, model: Model) -> Weights:
    place = bundle.place_of(model.entry)
    return Weights(place.path, place.offset)


def _adapters(bundle: Bundle) -> tuple[Adapter, ...]:
    """Those of the bundle's first model."""
    return tuple(Adapter(adapter.name, _weights(bundle, adapter), adapter.scale) for adapter in bundle.adapters())


def _projector(bundle: Bundle) -> Weights | None:
    """That of the bundle's first model."""
    projector = bundle.projector()
    if projector is None:
        return None
    place = bundle.place_of(projector.entry)
    return Weights(place.path, place.offset, place.size)
