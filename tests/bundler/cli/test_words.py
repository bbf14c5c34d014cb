"""Words of other programs, answered with what is meant here."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from bundler.cli import loaf
from bundler.cli.words import ANSWERS


@pytest.mark.parametrize("word", ANSWERS)
def test_words_of_other_programs(word: str) -> None:
    answer = CliRunner().invoke(loaf, [word, "llama3"])
    assert answer.exit_code == 2
    assert ANSWERS[word] in " ".join(answer.output.split())


def test_no_command_of_ours_is_among_them() -> None:
    assert not ANSWERS.keys() & loaf.commands.keys()


def test_words_of_nobody() -> None:
    assert "Did you mean one of: 'build', 'builder'?" in CliRunner().invoke(loaf, ["biuld"]).output
