"""The chat in a real pseudo-terminal, against the demo bundle, as a person at the keyboard has it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.bundles import clean_environment
from support.terminals import ALT_ENTER, CTRL_C, CTRL_D, ENTER, READY, TAB, UP, Terminal

MOON = "Who was the first man on the moon?"
Open = Callable[..., Terminal]


@pytest.fixture
def open_terminal(demo: Path, warm_cache: Path) -> Iterator[Open]:
    """Start the demo bundle in a terminal, with flags, and wait for its prompt."""
    opened: list[Terminal] = []

    def open_terminal(*flags: str, columns: int = 80, **environment: str) -> Terminal:
        variables = clean_environment(warm_cache, **{"TERM": "xterm-256color", **environment})
        variables = {name: value for name, value in variables.items() if value or name != "NO_COLOR"}
        terminal = Terminal([demo, *flags], variables, columns)
        opened.append(terminal)
        return terminal

    yield open_terminal
    for terminal in opened:
        terminal.close()


@pytest.fixture
def chat(open_terminal: Open) -> Terminal:
    """A chat that waits for its first question."""
    terminal = open_terminal("--chat", "--temp", "0")
    terminal.until(READY)
    return terminal


def test_a_question_is_answered_and_ctrl_d_ends_the_chat(chat: Terminal) -> None:
    assert "Neil Armstrong" in chat.ask(MOON)
    assert "Neil Armstrong" in chat.ask("/retry")
    assert f"taken back: {MOON}" in chat.ask("/undo")
    assert "a new conversation" in chat.ask("/clear")
    assert "system prompt: be brief" in chat.ask("/system be brief")
    assert "last answer: " in chat.ask("/stats")
    assert "/help lists them" in chat.ask("/nonsense")
    assert "/load FILE" in chat.ask("/help")
    chat.type(CTRL_D)
    assert chat.exit_code() == 0
    assert chat.is_as_before()


def test_a_conversation_is_saved_and_loaded(chat: Terminal, tmp_path: Path) -> None:
    chat.ask(MOON)
    assert "saved to" in chat.ask(f"/save {tmp_path}/talk.json")
    assert [turn["role"] for turn in json.loads((tmp_path / "talk.json").read_text())["messages"]] == [
        "user", "assistant",
    ]  # fmt: skip
    chat.ask("/clear")
    assert "Neil Armstrong" in chat.ask(f"/load {tmp_path}/talk.json")
    chat.type(f"/exit{ENTER}")
    assert chat.exit_code() == 0


def test_several_lines_are_one_question(chat: Terminal, tmp_path: Path) -> None:
    """With Alt-Enter, with a backslash at the end, and pasted."""
    chat.type(f"one{ALT_ENTER}two\\{ENTER}three\x1b[200~ four\r\nfive\x1b[201~")
    chat.ask("")
    chat.ask(f"/save {tmp_path}/talk.json")
    question = json.loads((tmp_path / "talk.json").read_text())["messages"][0]["content"]
    assert question == "one\ntwo\nthree four\nfive"


def test_earlier_questions_come_back_and_commands_are_completed(chat: Terminal) -> None:
    chat.ask(MOON)
    chat.ask("/clear")
    assert "Neil Armstrong" in chat.ask(UP + UP), "the question before the command"
    assert "last answer: " in chat.ask("/st" + TAB)


def test_ctrl_c_stops_the_answer_and_not_the_program(open_terminal: Open) -> None:
    chat = open_terminal("--chat", "--ignore-eos", "--ctx-size", "100000")
    chat.until(READY)
    chat.type(f"Tell me a story.{ENTER}")
    chat.until("\x1b[?2004l")
    chat.until(" ")
    chat.type("typed meanwhile" + CTRL_C)
    chat.until("(stopped after ")
    chat.until(READY)
    chat.type(CTRL_C)
    chat.until("Ctrl-D ends the chat")
    chat.until(READY)
    chat.type(CTRL_D)
    assert chat.exit_code() == 0


def test_what_is_typed_during_an_answer_is_the_next_question(chat: Terminal) -> None:
    chat.type(f"{MOON}{ENTER}/stats{ENTER}")
    chat.until("Neil Armstrong")
    chat.until("last answer: ")


def test_a_signal_ends_the_chat_and_leaves_the_terminal_as_it_was(chat: Terminal) -> None:
    assert not chat.is_as_before()
    chat.signal(signal.SIGTERM)
    assert chat.exit_code() == 0
    assert chat.is_as_before()


def test_lines_keep_to_the_window(chat: Terminal) -> None:
    wide = chat.ask(MOON)
    chat.resize(30)
    chat.until(READY)
    narrow = chat.ask("/retry")
    assert narrow.split() == wide.split()
    assert max(map(len, narrow.splitlines())) < 30
    assert narrow.count("\n") > wide.count("\n")


def test_a_dumb_terminal_gets_no_escape_sequences(open_terminal: Open) -> None:
    terminal = open_terminal("--chat", "--temp", "0", TERM="dumb")
    terminal.until("> ")
    terminal.type(f"{MOON}{ENTER}")
    terminal.until("Neil Armstrong")
    terminal.until("> ")
    terminal.until_keys_are_read()
    terminal.type(CTRL_D)
    assert terminal.exit_code() == 0


def test_without_flags_it_serves_too(open_terminal: Open) -> None:
    terminal = open_terminal("--port", "0", "--temp", "0")
    address = terminal.until("(Ctrl-D stops)").split()[-1]
    terminal.until(READY)
    assert "Neil Armstrong" in terminal.ask(MOON)
    answer = subprocess.run(["curl", "-s", f"{address}/health"], capture_output=True, text=True)
    assert json.loads(answer.stdout) == {"status": "ok"}
    terminal.type(CTRL_D)
    assert terminal.exit_code() == 0
    assert terminal.is_as_before()


def test_without_flags_a_signal_ends_both(open_terminal: Open) -> None:
    terminal = open_terminal("--port", "0")
    terminal.until(READY)
    terminal.signal(signal.SIGTERM)
    assert terminal.exit_code() == 0
    assert terminal.is_as_before()


def test_a_server_does_not_chat(open_terminal: Open) -> None:
    terminal = open_terminal("--server", "--port", "0")
    terminal.until("(Ctrl-C stops)")
    terminal.type(CTRL_C)
    assert terminal.exit_code() == 0
    assert READY not in terminal.said


def test_a_chat_needs_a_terminal(demo: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    result = run(demo, "--chat")
    assert result.returncode == 1
    assert "--chat needs a terminal" in result.stderr
