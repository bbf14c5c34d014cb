"""The prompts of one model, with the settings wherever a conversation says nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from runtime.engine.engine import Engine
from runtime.settings import ChatSettings

if TYPE_CHECKING:
    from runtime.chat.conversation import Conversation
    from runtime.chat.prompt import Prepared, PromptBuilder


class Prompts:
    """`system` is the prompt of conversations that bring none. The builder is made when the first of them comes."""

    def __init__(self, engine: Engine, system: str | None, settings: ChatSettings) -> None:
        self._engine = engine
        self._system = system
        self._settings = settings
        self._builder: PromptBuilder | None = None

    def builder(self) -> PromptBuilder:
        """Raises `StillLoading`, `EngineStopped`, what made loading fail, and `TemplateFailed`."""
        if self._builder is None:
            from runtime.chat.prompt import PromptBuilder

            backend = self._engine.backend()
            chat = self._settings
            self._builder = PromptBuilder(backend.model, self._system, chat.template, backend.projector, chat.media)
        return self._builder

    def prepare(self, conversation: Conversation) -> Prepared:
        """The prompt of `conversation`. Raises as `builder` and `PromptBuilder.prepare` do."""
        chat = self._settings
        return self.builder().prepare(
            msgspec.structs.replace(
                conversation,
                thinks=chat.reasoning if conversation.thinks is None else conversation.thinks,
                splits_reasoning=conversation.splits_reasoning and chat.splits_reasoning,
                thought_tokens=_either(conversation.thought_tokens, chat.thought_tokens),
                thought_message=_either(conversation.thought_message, chat.thought_message),
                template_values={**chat.template_values, **conversation.template_values},
            )
        )


_Said = TypeVar("_Said")


def _either(asked: _Said | None, default: _Said | None) -> _Said | None:
    return default if asked is None else asked
