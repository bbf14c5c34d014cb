"""Words of other programs, answered with what is meant here."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from bundler.cli import loaf
from bundler.cli.words import ANSWERS
from support.bundles import loaf as loaf_in_a_process


@pytest.mark.parametrize("word", ANSWERS)
def test_words_of_other_programs(word: str) -> None:
    answer = CliRunner().invoke(loaf, [word, "llama3"])
    assert answer.exit_code == 2
    assert ANSWERS[word] in " ".join(answer.output.split())


def test_no_command_of_ours_is_among_them() -> None:
    assert not ANSWERS.keys() & loaf.commands.keys()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sever"], "No such option '--sever'. Did you mean --server?"),
        (["hello", "you"], "A prompt goes behind -p: -p 'hello you'"),
        (["-p"], "Option '-p' requires an argument."),
        (["--runtime-from", "x.loaf"], "--runtime-from stands before MODEL"),
        (["--runtime-from=x.loaf"], "--runtime-from stands before MODEL"),
    ],
)
def test_what_is_no_flag_is_told_before_anything_is_fetched(words: list[str], says: str) -> None:
    """By the same words as the file that would be built has."""
    done = loaf_in_a_process("run", "hf:nobody/nothing", *words)
    assert done.returncode == 2
    assert says in done.stderr


def test_words_of_nobody() -> None:
    assert "Did you mean one of: 'build', 'builder'?" in CliRunner().invoke(loaf, ["biuld"]).output
