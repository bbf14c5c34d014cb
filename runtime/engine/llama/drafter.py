"""A draft model: whether it can guess for another one, and the context in which it does.

Knows llama.cpp's rules for that. Refuses to know when it guesses, and what becomes of the guesses.
"""

from __future__ import annotations

import msgspec

from runtime.engine.errors import DraftMisfit
from runtime.engine.llama.model import LlamaModel
from runtime.engine.settings import ContextSettings, ControlVectors, Rope
from runtime.engine.weights import Weights

_SLACK = 128
_FIRST_COMPARED = 5
"""By how many tokens the vocabularies may differ in length, and from which token on they must be the same:
`SPEC_VOCAB_MAX_SIZE_DIFFERENCE` and `SPEC_VOCAB_CHECK_START_TOKEN_ID` in llama.cpp's common/speculative.cpp."""


class Draft(msgspec.Struct, frozen=True):
    """A draft model, and the weights that it was loaded from."""

    weights: Weights
    model: LlamaModel


def check_draft(draft: Draft, model: LlamaModel) -> None:
    """Raise `DraftMisfit` unless `draft` can guess for `model`.

    The vocabularies must be the same, by the rules of `common_speculative_are_compatible`; and the draft model's memory
    must be one that can be cut, since each wrong guess is.
    """
    reason = _memory_problem(draft.model) or _vocabulary_problem(draft.model, model)
    if reason:
        raise DraftMisfit(draft.weights.path, reason)


def draft_settings(settings: ContextSettings) -> ContextSettings:
    """Those of a draft model's context, for a model whose own has `settings`."""
    return msgspec.structs.replace(settings, max_draft=0, rope=Rope(), control=ControlVectors())


def _memory_problem(draft: LlamaModel) -> str:
    if draft.facts.keeps_state:
        return "its memory is a state, which cannot take back a wrong guess"
    return ""


def _vocabulary_problem(draft: LlamaModel, model: LlamaModel) -> str:
    lib, its, mine = draft.lib, draft.vocabulary, model.vocabulary
    if lib.llama_vocab_type(its.handle) != lib.llama_vocab_type(mine.handle):
        return "its tokens are of another kind than the model's"
    for name in ("bos", "eos"):
        adds, token = getattr(lib, f"llama_vocab_get_add_{name}"), getattr(lib, f"llama_vocab_{name}")
        if adds(its.handle) != adds(mine.handle) or (adds(its.handle) and token(its.handle) != token(mine.handle)):
            return f"its {name.upper()} token is another than the model's"
    if abs(its.size - mine.size) > _SLACK:
        return f"it knows {its.size:,} tokens, and the model {mine.size:,}"
    text = lib.llama_vocab_get_text
    for token in range(_FIRST_COMPARED, min(its.size, mine.size)):
        if text(its.handle, token) != text(mine.handle, token):
            return f"its token {token} is another than the model's"
    return ""
