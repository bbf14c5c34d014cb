"""What cannot fit is known by its bytes, and nothing else is refused for them: on the demo model's vocabulary."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.engine.errors import PromptTooLong
from runtime.engine.llama import vocabulary
from runtime.engine.llama.backend import LlamaBackend

TEXTS = st.text(max_size=60) | st.text(" \n\tae", max_size=200) | st.text("<|>ends_", max_size=60)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_a_text_that_fits_is_never_refused(backend: LlamaBackend, text: str) -> None:
    words = backend.model.vocabulary
    tokens = words.tokenize(text, add_special=False, parse_special=False)
    before, words.most_tokens = words.most_tokens, len(tokens)
    short, vocabulary._SHORT = vocabulary._SHORT, 0
    try:
        words.check_room(len(text.encode("utf-8", "replace")))
    finally:
        words.most_tokens, vocabulary._SHORT = before, short


def test_a_text_that_cannot_fit_is_refused_by_its_size(backend: LlamaBackend) -> None:
    with pytest.raises(PromptTooLong) as caught:
        backend.model.check_room(10**9)
    assert caught.value.n_prompt > caught.value.n_ctx == 512
    backend.model.check_room(2**20)
    with pytest.raises(PromptTooLong):
        backend.model.tokenize("a" * 10**6 + "é" * 10**6, add_special=True, parse_special=True)
