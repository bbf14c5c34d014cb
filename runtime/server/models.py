"""The models that the server has, and which of them a request means.

Knows names. Refuses to know what is asked of a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.engine.backend import Model
from runtime.engine.engine import Engine
from runtime.loading import ServedModel
from runtime.server.errors import UnknownModel
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.chat.prompt import PromptBuilder


class HostedModel:
    """A model, and what the server keeps for it: the builder of its prompts, made when the first conversation comes."""

    def __init__(self, served: ServedModel, settings: Settings) -> None:
        self.served = served
        self._settings = settings
        self._prompts: PromptBuilder | None = None

    @property
    def name(self) -> str:
        """What answers call it."""
        return self.served.name

    @property
    def names(self) -> tuple[str, ...]:
        """All that requests may call it."""
        return (self.name,)

    @property
    def engine(self) -> Engine:
        return self.served.engine

    def loaded(self) -> Model:
        """Raises `StillLoading`, `EngineStopped`, or what made loading fail."""
        return self.engine.backend().model

    def prompts(self) -> PromptBuilder:
        """The builder of its prompts. Raises as `loaded` does, and `TemplateFailed`."""
        if self._prompts is None:
            from runtime.chat.prompt import PromptBuilder

            self._prompts = PromptBuilder(self.loaded(), self._settings.system)
        return self._prompts


class Models:
    """All of them; the first is meant where nobody is named."""

    def __init__(self, models: Sequence[HostedModel]) -> None:
        self.all = tuple(models)

    def find(self, name: str | None = None) -> HostedModel:
        """Which one `name` means: anything, where there is but one, as with peers. Raises `UnknownModel`."""
        if not name or len(self.all) == 1:
            return self.all[0]
        found = next((model for model in self.all if name.removesuffix(":latest") in model.names), None)
        if found is None:
            raise UnknownModel(name, [model.name for model in self.all])
        return found

    def find_embedder(self, name: str | None = None) -> HostedModel:
        """The same for vectors: where nobody is named, a model that makes nothing else comes first."""
        if name:
            return self.find(name)
        return next((model for model in self.all if model.engine.backend().generator is None), self.all[0])
