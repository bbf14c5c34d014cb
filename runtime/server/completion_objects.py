"""llama-server's objects of a completion: what `/completion` answers, and what OpenAI's answers hold as `__verbose`.

Its `to_json_non_oaicompat` (server-task.cpp) names the fields. Refuses to know which of them are wanted, and how a
stream frames them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.engine.types import FinishedEvent, FinishReason, GenerationRequest, Probabilities, TokenEvent
from runtime.server.generating import Answer
from runtime.server.generation_settings import generation_settings
from runtime.server.models import HostedModel
from runtime.server.probabilities import token_probabilities
from runtime.server.timings import timings

_STOP_TYPES = {
    FinishReason.END_OF_TEXT: "eos",
    FinishReason.STOP_STRING: "word",
    FinishReason.MAX_TOKENS: "limit",
    FinishReason.CONTEXT_FULL: "limit",
    FinishReason.TIME_LIMIT: "limit",
    FinishReason.INDENTATION: "limit",
    FinishReason.ABORTED: "none",
}


class CompletionObjects:
    """Those of one request: of the answers to `wanted`, of which `prompts` are the texts.

    Each event of a stream is told of once, in its order, by `part` or `last`; a whole answer by `whole`.
    """

    def __init__(
        self,
        hosted: HostedModel,
        wanted: Sequence[GenerationRequest],
        prompts: Sequence[str],
        *,
        streams: bool,
        timings_per_token: bool = False,
    ) -> None:
        self._model = hosted.loaded()
        self._name = hosted.name
        self._wanted = wanted
        self._prompts = prompts
        self._streams = streams
        self._timings_per_token = timings_per_token
        self._decoded = [0] * len(wanted)
        self._has_new_line = [False] * len(wanted)

    def part(self, index: int, event: TokenEvent) -> dict[str, Any]:
        """A piece of the answer `index`, without how far its prompt is."""
        self._take_note(index, event)
        wanted = self._wanted[index]
        return {
            "index": index,
            "content": event.text,
            "tokens": event.tokens,
            "stop": False,
            "id_slot": -1 if wanted.slot is None else wanted.slot,
            "tokens_predicted": self._decoded[index],
            "tokens_evaluated": len(wanted.prompt),
            **self._probabilities(event.probabilities),
        }

    def last(self, index: int, event: FinishedEvent) -> dict[str, Any]:
        """The end of a streamed answer, with the text that was held back."""
        return self._final(index, event, event.text, (), ())

    def whole(self, index: int, one: Answer, *, tokens: bool) -> dict[str, Any]:
        """All of an answer; its `tokens` only where they are wanted."""
        for event in one.events:
            self._take_note(index, event)
        return self._final(index, one.finished, one.text, one.tokens if tokens else (), one.probabilities)

    def _take_note(self, index: int, event: TokenEvent) -> None:
        self._decoded[index] += len(event.tokens)
        self._has_new_line[index] = self._has_new_line[index] or "\n" in event.text

    def _final(
        self,
        index: int,
        event: FinishedEvent,
        text: str,
        tokens: Sequence[int],
        probabilities: tuple[Probabilities, ...],
    ) -> dict[str, Any]:
        usage = event.usage
        return {
            "index": index,
            "content": text,
            "tokens": list(tokens),
            "id_slot": -1 if event.slot is None else event.slot,
            "stop": True,
            "model": self._name,
            "tokens_predicted": usage.generated_tokens,
            "tokens_evaluated": usage.prompt_tokens,
            "generation_settings": generation_settings(
                self._wanted[index],
                self._model.facts.ends,
                streams=self._streams,
                timings_per_token=self._timings_per_token,
            ),
            "prompt": self._prompts[index],
            "has_new_line": self._has_new_line[index] or "\n" in event.text,
            "truncated": event.shifted or event.reason is FinishReason.CONTEXT_FULL,
            "stop_type": _STOP_TYPES[event.reason],
            "stopping_word": event.stop_string,
            # what the slot holds now: the last token was sampled, and not computed any more
            "tokens_cached": usage.prompt_tokens + max(usage.generated_tokens - 1, 0),
            "timings": timings(usage),
            **self._probabilities(probabilities),
        }

    def _probabilities(self, given: tuple[Probabilities, ...]) -> dict[str, Any]:
        if not given:
            return {}
        post_sampling = self._wanted[0].sampling.post_sampling_probs
        return {"completion_probabilities": token_probabilities(self._model, given, post_sampling=post_sampling)}
