"""The prompts of one model, with the settings wherever a conversation says nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from runtime.engine.engine import Engine
from runtime.settings import ChatSettings

if TYPE_CHECKING:
    from runtime.chat.conversation import Conversation
    from runtime.chat.prompt import Prepared, PromptBuilder
    from runtime.engine.backend import Projector


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

            chat, sees = self._settings, self._engine.described().projector is not None
            self._builder = PromptBuilder(
                _LoadedModel(self._engine),
                self._system,
                chat.template,
                cast("Projector", _LoadedProjector(self._engine)) if sees else None,
                chat.media,
            )
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


class _LoadedModel:
    """The model that is loaded when it is asked: it may have been unloaded since it was asked last."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.facts = engine.described().model.facts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:
        return self._engine.backend().model.tokenize(text, add_special=add_special, parse_special=parse_special)


class _LoadedProjector:
    """The same of its projector: what it says of itself is known, and all else is asked of it."""

    def __init__(self, engine: Engine) -> None:
        projector = engine.described().projector
        assert projector is not None, "there is one, whether it is loaded or not"
        self._engine = engine
        self.sees, self.hears, self.line = projector.sees, projector.hears, projector.line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine.backend().projector, name)


_Said = TypeVar("_Said")


def _either(asked: _Said | None, default: _Said | None) -> _Said | None:
    return default if asked is None else asked
