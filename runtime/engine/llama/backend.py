"""A loaded model as the engine takes it: a generator if the model has a memory, an embedder once it is asked for.

Knows how much each is given. Refuses to know where the weights came from.
"""

from __future__ import annotations

from runtime.engine.backend import Drafter, Generator
from runtime.engine.errors import ContextFailed
from runtime.engine.llama.context import Context, Interrupt
from runtime.engine.llama.drafter import Draft, draft_settings
from runtime.engine.llama.embedder import EmbedderSettings, LlamaEmbedder
from runtime.engine.llama.model import LlamaModel
from runtime.engine.llama.projector import Projector
from runtime.engine.placement import ON_THE_PROCESSOR, Placement
from runtime.engine.settings import ContextSettings
from runtime.engine.states import NOTHING_WARM
from runtime.engine.team import Team
from runtime.engine.weights import Adapter
from runtime.machine.busy import OthersWork

TEXTS_AT_ONCE = 64
"""Texts in one batch of an encoder, where one more costs nothing but its own tokens."""

TEXTS_BESIDE_A_STATE = 8
"""The same for models that keep a state for each sequence, which is memory."""


class LlamaBackend:
    """Owns `model`, its `projector`, `draft`, which guesses for it, and what is made from them.

    Raises `ContextFailed` when made.

    Who made it may say its `warmth`. `settings` are those of its context.
    """

    def __init__(
        self,
        model: LlamaModel,
        settings: ContextSettings,
        placement: Placement = ON_THE_PROCESSOR,
        projector: Projector | None = None,
        draft: Draft | None = None,
    ) -> None:
        self.projector = projector
        self.placement = placement
        self.warmth = NOTHING_WARM
        self._model = model
        self.settings = settings
        self._interrupt = Interrupt(model.lib)
        self._embedder: LlamaEmbedder | None = None
        # What a GPU does keeps no processor busy: its steps say nothing of how many threads there should be.
        gives_way = settings.gives_way and placement.offload is None
        self._team = Team(settings.n_threads, OthersWork().measure if gives_way else None)
        context = Context(model, settings, self._interrupt, self._team, projector)
        self._context: Context | None = context
        scratch = dict(model.logs.scratch())
        self._draft = draft
        self._draft_context: Context | None = None
        if draft is not None:
            try:
                self._draft_context = Context(draft.model, draft_settings(settings), self._interrupt, self._team)
            except ContextFailed:
                context.close()
                raise
            for memory, size in draft.model.logs.scratch():
                scratch[memory] = scratch.get(memory, 0) + size
        self.scratch = tuple(scratch.items())
        is_scored = (settings.pooling or model.facts.pooling) == "rank"
        self.embeds_pieces = context.keeps_sequences and context.is_causal and not is_scored
        if not context.keeps_sequences:  # an encoder: nothing can be continued
            context.close()
            self._context = None
        self.longest_text = self._embedder_settings().n_batch
        n_ctx = context.n_ctx if self._context is not None else 0
        model.vocabulary.most_tokens = max(n_ctx, self.longest_text)

    @property
    def model(self) -> LlamaModel:
        """The weights and their vocabulary."""
        return self._model

    @property
    def adapters(self) -> tuple[Adapter, ...]:
        """Those loaded for the model."""
        return self._model.adapters

    @property
    def generator(self) -> Generator | None:
        """None for a model that only makes vectors."""
        return self._context

    @property
    def drafter(self) -> Drafter | None:
        """None where there is no draft model."""
        if self._draft is None or self._draft_context is None:
            return None
        return Drafter(self._draft.weights, self._draft.model, self._draft_context)

    @property
    def n_threads(self) -> int:
        """How many compute now."""
        return self._team.size

    def embedder(self) -> LlamaEmbedder:
        """Made when it is first needed, because it takes memory of its own. Raises `ContextFailed`."""
        if self._embedder is None:
            self._embedder = LlamaEmbedder(
                self._model, self._embedder_settings(), self._interrupt, self._team, self.projector
            )
        return self._embedder

    def interrupt(self) -> None:
        """End the batch that is being computed, and every later one. Called from any thread."""
        self._interrupt.set()

    def close(self) -> None:
        """Free everything, the weights last; not what workers have: they do it themselves when the connection ends.

        To have them do it would take an answer from each, for which there is no waiting when the program ends.
        """
        if self.placement.offload is not None and self.placement.offload.workers:
            return
        if self._embedder is not None:
            self._embedder.close()
        if self._draft_context is not None:
            self._draft_context.close()
        if self._context is not None:
            self._context.close()
        if self.projector is not None:
            self.projector.close()
        if self._draft is not None:
            self._draft.model.close()
        self._model.close()

    def _embedder_settings(self) -> EmbedderSettings:
        settings, facts = self.settings, self._model.facts
        n_batch = settings.n_ubatch
        if self._context is None:  # a whole text must fit, whatever batches of generations would be
            n_batch = max(n_batch, min(facts.n_ctx_train, settings.n_ctx))
        return EmbedderSettings(
            n_batch=n_batch,
            n_texts=min(n_batch, TEXTS_BESIDE_A_STATE if facts.keeps_state else TEXTS_AT_ONCE),
            n_threads=settings.n_threads,
            pooling=settings.pooling,
            flash_attention=settings.flash_attention,
            rope=settings.rope,
        )
