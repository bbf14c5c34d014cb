"""What a person should know of a model before anything is asked: that it has no template, or a context too long for it.

Refuses to know whether that is said by a server or by a chat.
"""

from __future__ import annotations

from runtime.chat.fallback import fallback_line
from runtime.engine.settings import Rope
from runtime.models.served import ServedModel
from runtime.settings import Settings


def remarks(served: ServedModel, settings: Settings, *, by_name: bool) -> list[str]:
    """A line for each. `settings` are the model's own, `by_name`: there are others. Raises what loading does."""
    backend = served.engine.described()
    generator, facts = backend.generator, backend.model.facts
    if generator is None:
        return []
    who, lines = served.name if by_name else "The model", []
    if 0 < facts.n_ctx_train < generator.n_ctx and settings.engine.rope == Rope():
        lines.append(f"{who} was trained for {facts.n_ctx_train:,} tokens: what it says behind them makes little sense")
    if line := fallback_line(facts, settings.chat.template, who):
        lines.append(line)
    return lines
