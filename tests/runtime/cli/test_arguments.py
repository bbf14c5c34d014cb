"""`.args`: how its text is split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cli.arguments import BadArguments, DefaultArguments, parse_arguments, shown_arguments, without_flags

ENVIRONMENT = {"PORT": "9000", "TWO": "a b"}

CASES = [
    ("", (), ()),
    ("--port 9000", ("--port", "9000"), ()),
    ("--port\n9000\n", ("--port", "9000"), ()),
    ("--port 9000 # the usual one\n-np 4", ("--port", "9000", "-np", "4"), ()),
    ("a#b # c", ("a#b",), ()),
    ("'a'#b", ("a#b",), ()),
    ("-p 'two words'", ("-p", "two words"), ()),
    (r"-p 'no \n escape $PORT'", ("-p", r"no \n escape $PORT"), ()),
    (r'-p "line\nnext\ttab \"quoted\" \x41\101"', ("-p", 'line\nnext\ttab "quoted" AA'), ()),
    (r"-p two\ words", ("-p", "two words"), ()),
    ("--port $PORT", ("--port", "9000"), ()),
    ("--port ${PORT}1", ("--port", "90001"), ()),
    ("-p $TWO", ("-p", "a b"), ()),
    ("-p $UNSET", ("-p", ""), ()),
    ("-p ''", ("-p", ""), ()),
    ("a $ b", ("a", "$", "b"), ()),
    ("a'b'\"c\"", ("abc",), ()),
    ("--host h ... --port 1", ("--host", "h"), ("--port", "1")),
    ("... a ... b", (), ("a", "b")),
]


@pytest.mark.parametrize(("text", "before", "after"), CASES)
def test_split(text: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    assert parse_arguments(text, ENVIRONMENT) == DefaultArguments(before, after)


@pytest.mark.parametrize("text", ["-p 'open", '-p "open', "a\\"])
def test_an_open_quote_is_named(text: str) -> None:
    with pytest.raises(BadArguments) as raised:
        parse_arguments(text, {})
    assert raised.value.position == max(text.rfind("'"), text.rfind('"'), text.rfind("\\"))


WITHOUT = [
    ("--temp 0.1 --temp 0.2", ""),
    ("--temp '0 1' --port 3", "--port 3"),
    ("--port 3 --temp=4", "--port 3 "),
    ("--port 3\n--temp 1\n--ignore-eos\n-np 4", "--port 3\n-np 4"),
    ("--port 3 # not --temp 1\n--temp 2 # why\n... --temp", "--port 3 # not --temp 1\n# why\n... "),
    ("--temperature 1", "--temperature 1"),
]


@pytest.mark.parametrize(("text", "left"), WITHOUT)
def test_flags_go_with_their_values_and_all_else_stays(text: str, left: str) -> None:
    assert without_flags(text, {"--temp": 1, "--ignore-eos": 0}) == left


@given(st.lists(st.text(st.characters(exclude_characters="'\0"), max_size=20)))
def test_literal_quotes_keep_everything(tokens: list[str]) -> None:
    text = " ".join(f"'{token}'" for token in tokens)
    assert parse_arguments(text, {}).before + parse_arguments(text, {}).after == tuple(
        token for token in tokens if token != "..."
    )


@given(st.text(max_size=200))
def test_no_text_is_too_odd(text: str) -> None:
    try:
        parse_arguments(text, ENVIRONMENT)
    except BadArguments as error:
        assert 0 <= error.position < len(text)


@pytest.mark.parametrize(
    "text",
    ["--api-key swordfish", "--api-key=swordfish", "--api-key 'a swordfish'", '--api-key\n"a \\" swordfish"',
     "--api-key a\\ swordfish", "--api-key a'b swordfish'c"],
)  # fmt: skip
def test_keys_are_not_shown(text: str) -> None:
    shown = shown_arguments(f"--port 1\n{text} --temp 0")
    assert "swordfish" not in shown
    assert shown.startswith("--port 1 --api-key")
    assert shown.endswith("… --temp 0")


def test_what_is_no_key_is_shown() -> None:
    assert shown_arguments("--api-key-file  keys\n-p x") == "--api-key-file keys -p x"
