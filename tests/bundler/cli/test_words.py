"""Words of other programs, answered with what is meant here."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from bundler.cli import loaf
from bundler.cli.words import ANSWERS
from bundler.quantizing.names import file_types
from support.bundles import loaf as loaf_in_a_process
from support.places import ROOT


@pytest.mark.parametrize("word", ANSWERS)
def test_words_of_other_programs(word: str) -> None:
    answer = CliRunner().invoke(loaf, [word, "llama3"])
    assert answer.exit_code == 2
    assert ANSWERS[word] in " ".join(answer.output.split())


def test_what_a_command_does_is_told_to_its_end() -> None:
    told = CliRunner().invoke(loaf, ["--help"]).output
    assert "..." not in told.partition("Commands:")[2]
    assert "where there is no Python, no compiler and no network." in " ".join(told.split())


def test_no_command_of_ours_is_among_them() -> None:
    assert not ANSWERS.keys() & loaf.commands.keys()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sever"], "No such option '--sever'. Did you mean --server?"),
        (["--ctx", "99"], "No such option '--ctx'. Did you mean --ctx-size?"),
        (["--frobnicate"], "No such option '--frobnicate'.\n"),
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


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["build", "a.gguf", "b.gguf"], "there is one MODEL: another one goes along with --also b.gguf"),
        (["set", "a.loaf", "hello"], "there is one FILE"),
        (["set", "a.loaf", "-o", "b.loaf"], "`loaf set` changes FILE itself: copy it first"),
        (["build", "a.gguf", "--ctx-size", "1024"], 'make it its default with --args "--ctx-size ..."'),
        (["build", "a.gguf", "--quantiz", "Q4_0"], "No such option '--quantiz'. Did you mean --quantize?"),
        (["build", "a.gguf", "--frobnicate"], "No such option '--frobnicate'.\n"),
    ],
)
def test_what_is_no_flag_of_the_builder_is_told_in_its_own_words(words: list[str], says: str) -> None:
    done = loaf_in_a_process(*words)
    assert done.returncode == 2
    assert says in done.stderr


def test_every_type_is_in_the_docs() -> None:
    said = (ROOT / "docs" / "build.md").read_text()
    assert [name for name in file_types() if f"`{name}`" not in said] == []


def test_words_of_nobody() -> None:
    assert "Did you mean one of: 'build', 'builder'?" in CliRunner().invoke(loaf, ["biuld"]).output
