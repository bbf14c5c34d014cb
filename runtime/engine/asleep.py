"""What a backend says of itself, without what computes: what is left of it while its model is unloaded.

Knows what crosses the engine's boundary. Refuses to know when a model is unloaded, and how it comes back.
"""

from __future__ import annotations

from typing import Any, NoReturn, cast

from runtime.engine.backend import Backend
from runtime.engine.errors import ModelAsleep
from runtime.engine.uses import Usable


class _Left:
    """What is `kept` of an object of `engine`, as its attributes; any other raises `ModelAsleep`."""

    def __init__(self, engine: Usable, **kept: Any) -> None:
        self.__dict__.update(kept, _engine=engine)

    def __getattr__(self, name: str) -> NoReturn:
        raise ModelAsleep(self._engine)


def left_of(backend: Backend, engine: Usable) -> Backend:
    """`backend`, which is its owner's to close, without anything that is to be asked of llama.cpp."""
    generator, projector, drafter = backend.generator, backend.projector, backend.drafter

    def left(**kept: Any) -> Any:
        return _Left(engine, **kept)

    guesses = None
    if drafter is not None:
        context = left(n_ctx=drafter.context.n_ctx, settings=drafter.context.settings)
        guesses = left(weights=drafter.weights, model=left(facts=drafter.model.facts), context=context)
    senses = None
    if projector is not None:
        senses = left(
            sees=projector.sees, hears=projector.hears, sample_rate=projector.sample_rate, line=projector.line
        )
    whole = left(
        model=left(facts=backend.model.facts),
        generator=None if generator is None else left(n_ctx=generator.n_ctx, settings=generator.settings),
        projector=senses,
        drafter=guesses,
        adapters=backend.adapters,
        placement=backend.placement,
        scratch=backend.scratch,
        warmth=backend.warmth,
        n_threads=backend.n_threads,
        longest_text=backend.longest_text,
    )
    return cast("Backend", whole)
