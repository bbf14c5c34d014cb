"""The models that the server has, and which of them a request means.

Knows names. Refuses to know what is asked of a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.chat.prompts import Prompts
from runtime.engine.backend import Model
from runtime.engine.engine import Engine
from runtime.engine.errors import CannotGenerate, ModelAsleep
from runtime.engine.facts import ModelFacts
from runtime.models.served import ServedModel
from runtime.server.refusals import CannotRerank, UnknownModel
from runtime.server.sleeping import Sleeper
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.chat.conversation import Conversation
    from runtime.chat.prompt import Prepared, PromptBuilder


_LATEST = ":latest"
"""What Ollama's clients add to a name, and leave out again, where there is no other tag."""


_LEFT_OUT = 4
"""A template may leave out parts of what is said, such as earlier thoughts; of so many characters it writes one."""


class HostedModel:
    """A model, and what the server keeps for it: the builder of its prompts, made when the first conversation comes.

    The aliases in `settings` are its names for clients, the first of them in answers; where there are none, its own.
    """

    def __init__(self, served: ServedModel, settings: Settings) -> None:
        self.served = served
        self.aliases = settings.aliases
        self.settings = settings
        self.sleeper = Sleeper(served.engine, settings.server.sleep_seconds)
        self._prompts = Prompts(served.engine, settings.system, settings.chat)

    @property
    def name(self) -> str:
        """What answers call it."""
        return self.aliases[0] if self.aliases else self.served.name

    @property
    def names(self) -> tuple[str, ...]:
        """All that requests may call it, each once."""
        return tuple(dict.fromkeys((*self.aliases, self.served.name)))

    @property
    def tags(self) -> tuple[str, ...]:
        """Words about it, for clients."""
        return self.settings.tags

    @property
    def engine(self) -> Engine:
        return self.served.engine

    def loaded(self) -> Model:
        """To be asked for tokens. Raises `StillLoading`, `EngineStopped`, or what made loading fail."""
        return self.engine.backend().model

    def load(self) -> None:
        """Raises as `loaded` does, and `ModelAsleep`: whoever catches that has it loaded."""
        self.loaded()
        if self.engine.is_asleep:
            raise ModelAsleep(self.engine)

    @property
    def facts(self) -> ModelFacts:
        """What it says of itself, asleep or not. Raises as `loaded` does."""
        return self.engine.described().model.facts

    @property
    def generates(self) -> bool:
        """Whether it makes text. Raises as `loaded` does."""
        return self.engine.described().generator is not None

    @property
    def sees(self) -> bool:
        """Whether it can be shown pictures. Raises as `loaded` does."""
        projector = self.engine.described().projector
        return projector is not None and projector.sees

    @property
    def hears(self) -> bool:
        """Whether sounds can be played to it. Raises as `loaded` does."""
        projector = self.engine.described().projector
        return projector is not None and projector.hears

    @property
    def reranks(self) -> bool:
        """Whether it makes scores instead of vectors. Raises as `loaded` does."""
        return (self.settings.engine.pooling or self.facts.pooling) == "rank"

    @property
    def context_length(self) -> int:
        """Tokens that one request may have, with its answer where it makes text. Raises as `loaded` does."""
        backend = self.engine.described()
        return backend.generator.n_ctx if backend.generator else backend.model.facts.n_ctx_train

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What it is for, in llama-server's and Ollama's words; whoever writes text makes vectors too, if asked to.

        Raises as `loaded` does.
        """
        if self.generates:
            return ("completion", "multimodal") if self.sees or self.hears else ("completion",)
        return ("rerank",) if self.reranks else ("embedding",)

    @property
    def template(self) -> str | None:
        """The chat template in force; None where neither the settings nor the model have one. Raises as `loaded`."""
        return self.settings.chat.template or self.facts.chat_template

    def prompts(self) -> PromptBuilder:
        """The builder of its prompts. Raises as `loaded` does, and `TemplateFailed`."""
        return self._prompts.builder()

    def prepare(self, conversation: Conversation) -> Prepared:
        """The prompt of `conversation`, with the server's settings wherever it says nothing itself.

        Raises as `prompts` and `PromptBuilder.prepare` do, and `PromptTooLong` for what would be long in vain.
        """
        written = sum(len(message.content) for message in conversation.messages)
        self.loaded().check_room(written // _LEFT_OUT)
        return self._prompts.prepare(conversation)


class Models:
    """All of them; the first is meant where nobody is named and it can do what is asked."""

    def __init__(self, models: Sequence[HostedModel]) -> None:
        self.all = tuple(models)

    def find(self, name: str | None = None) -> HostedModel:
        """Which one `name` means: anything, where there is but one, as with peers. Raises `UnknownModel`."""
        if not name or len(self.all) == 1:
            return self.all[0]
        return self.named(name)

    def named(self, name: str) -> HostedModel:
        """The one that has this very name. Raises `UnknownModel`."""
        found = self._lookup(name)
        if found is None:
            raise UnknownModel(name, [model.name for model in self.all])
        return found

    def choose_generator(self, name: str | None = None) -> HostedModel:
        """Which one `name` means where text is wanted; whether that makes any, its caller sees.

        A name that no model has means the one that can, where it is the only one. Raises `UnknownModel`, and what
        loading raises.
        """
        return self._choose(name, [model for model in self.all if model.generates])

    def find_generator(self, name: str | None = None) -> HostedModel:
        """The same, which does make text. Raises `CannotGenerate` too, which names those that can."""
        found = self.choose_generator(name)
        if not found.generates:
            raise CannotGenerate([model.name for model in self.all if model.generates])
        return found

    def find_embedder(self, name: str | None = None) -> HostedModel:
        """The same for vectors: where nobody is named, a model that makes nothing else comes first."""
        able = [model for model in self.all if not (model.generates or model.reranks)]
        return self._choose(name, able or [model for model in self.all if not model.reranks])

    def find_listener(self, name: str | None = None) -> HostedModel:
        """The one that `name` means where a sound is to be listened to; whether it hears, what it makes of one says."""
        return self._choose(name, [model for model in self.all if model.hears])

    def find_reranker(self, name: str | None = None) -> HostedModel:
        """The same for scores. Raises `CannotRerank` too, which names those that can."""
        able = [model for model in self.all if model.reranks]
        found = self._choose(name, able)
        if found not in able:
            raise CannotRerank([model.name for model in able])
        return found

    def _choose(self, name: str | None, able: Sequence[HostedModel]) -> HostedModel:
        if not able:
            return self.find(name)
        if not name:
            return able[0]
        return able[0] if len(able) == 1 and self._lookup(name) is None else self.find(name)

    def _lookup(self, name: str) -> HostedModel | None:
        wanted = name.removesuffix(_LATEST)
        known = ((model, one.removesuffix(_LATEST)) for model in self.all for one in model.names)
        return next((model for model, one in known if one == wanted), None)
