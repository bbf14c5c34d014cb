"""The models that the server has, and which of them a request means.

Knows names. Refuses to know what is asked of a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from runtime.engine.backend import Model
from runtime.engine.engine import Engine
from runtime.loading import ServedModel
from runtime.server.errors import UnknownModel
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.chat.conversation import Conversation
    from runtime.chat.prompt import Prepared, PromptBuilder


class HostedModel:
    """A model, and what the server keeps for it: the builder of its prompts, made when the first conversation comes.

    `aliases` are its names for clients, the first of them in answers; where there are none, its own.
    """

    def __init__(self, served: ServedModel, settings: Settings, aliases: Sequence[str] = ()) -> None:
        self.served = served
        self.aliases = tuple(aliases)
        self._settings = settings
        self._prompts: PromptBuilder | None = None

    @property
    def name(self) -> str:
        """What answers call it."""
        return self.aliases[0] if self.aliases else self.served.name

    @property
    def names(self) -> tuple[str, ...]:
        """All that requests may call it."""
        return (*self.aliases, self.served.name)

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

            self._prompts = PromptBuilder(self.loaded(), self._settings.system, self._settings.chat.template)
        return self._prompts

    def prepare(self, conversation: Conversation) -> Prepared:
        """The prompt of `conversation`, with the server's settings wherever it says nothing itself.

        Raises as `prompts` and `PromptBuilder.prepare` do.
        """
        chat = self._settings.chat
        return self.prompts().prepare(
            msgspec.structs.replace(
                conversation,
                thinks=chat.reasoning if conversation.thinks is None else conversation.thinks,
                splits_reasoning=conversation.splits_reasoning and chat.splits_reasoning,
                template_values={**chat.template_values, **conversation.template_values},
            )
        )


class Models:
    """All of them; the first is meant where nobody is named."""

    def __init__(self, models: Sequence[HostedModel]) -> None:
        self.all = tuple(models)

    def find(self, name: str | None = None) -> HostedModel:
        """Which one `name` means: anything, where there is but one, as with peers. Raises `UnknownModel`."""
        if not name or len(self.all) == 1:
            return self.all[0]
        return self.named(name)

    def named(self, name: str) -> HostedModel:
        """The one that has this very name. Raises `UnknownModel`."""
        found = next((model for model in self.all if name.removesuffix(":latest") in model.names), None)
        if found is None:
            raise UnknownModel(name, [model.name for model in self.all])
        return found

    def find_embedder(self, name: str | None = None) -> HostedModel:
        """The same for vectors: where nobody is named, a model that makes nothing else comes first."""
        if name:
            return self.find(name)
        return next((model for model in self.all if model.engine.backend().generator is None), self.all[0])
