"""Words that no flag takes: what is meant is said."""

from __future__ import annotations

import click
import pytest

from runtime.cli.main import command

WORDS = [
    (["hello"], "'hello' belongs to no flag. A prompt goes behind -p: -p hello"),
    (["why", "is the sky", "blue?"], "A prompt goes behind -p: -p 'why is the sky blue?'"),
    (["other.gguf"], "weights go behind -m: -m other.gguf"),
]


@pytest.mark.parametrize(("words", "told"), WORDS)
def test_where_a_word_goes_is_said(words: list[str], told: str) -> None:
    with pytest.raises(click.UsageError) as raised:
        command.make_context("model.loaf", [*words])
    assert told in raised.value.message


def test_a_variable_is_blamed_for_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a flag where both are there."""
    monkeypatch.setenv("LOAF_PORT", "abc")
    for words, blamed in (([], "Invalid value for LOAF_PORT: 'abc'"), (["--port", "x"], "for '--port': 'x'")):
        with pytest.raises(click.BadParameter) as raised:
            command.make_context("model.loaf", words, auto_envvar_prefix="LOAF")
        assert blamed in raised.value.format_message()
