"""The chat without a terminal: commands, what is remembered, what is kept in files, and what is said when."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.chat.messages import Message
from runtime.console.commands import COMMANDS, Command, Mistake, help_groups, parse
from runtime.console.errors import ConversationUnreadable
from runtime.console.saving import load, save
from runtime.console.transcript import Transcript
from runtime.media.given import Gathering
from runtime.settings import ChatSettings, Settings
from support.places import ROOT
from support.speakers import Speaker, chat

LINES: list[tuple[str, Command | Mistake | None]] = [
    ("hello", None),
    ("/help", Command("help")),
    ("/HELP", Command("help")),
    ("/bye", Command("exit")),
    ("/quit", Command("exit")),
    ("quit", Command("exit")),
    ("Exit ", Command("exit")),
    ("exit strategies?", None),
    ("/system be brief\nand kind", Command("system", "be brief\nand kind")),
    ("/system", Command("system")),
    ("/save  a b.json ", Command("save", "a b.json")),
    ("/etc/passwd holds what?", None),
    (" /help is said to the model", None),
    ("/2", None),
    ("/save", Mistake("/save needs a FILE")),
    ("/undo it", Mistake("/undo takes nothing")),
]


@pytest.mark.parametrize(("text", "meant"), LINES, ids=[repr(row[0]) for row in LINES])
def test_a_line_means(text: str, meant: Command | Mistake | None) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(("text", "told"), [("/set parameter seed 1", "flags"), ("/show info", "--info")])
def test_commands_of_ollamas_chat_are_told_what_is_meant_here(text: str, told: str) -> None:
    meant = parse(text)
    assert isinstance(meant, Mistake)
    assert told in meant.reason


def test_a_command_that_is_none_is_told_with_the_nearest() -> None:
    mistake = parse("/sytem x")
    assert isinstance(mistake, Mistake)
    assert "Is /system meant?" in mistake.reason


def test_the_help_names_every_command() -> None:
    written = " ".join(written for lines in help_groups().values() for written, _does in lines)
    assert all(f"/{name}" in written for name in COMMANDS)
    documented = (ROOT / "docs" / "chat.md").read_text()
    assert all(f"`/{name}" in documented for name in COMMANDS)


TALK = Transcript("be brief").asked("one").answered("1", "hm").asked("two").answered("2")


def test_a_transcript_is_changed_from_its_end() -> None:
    assert TALK.question == "two"
    assert TALK.undone() == Transcript("be brief").asked("one").answered("1", "hm")
    assert TALK.unanswered() == Transcript("be brief").asked("one").answered("1", "hm").asked("two")
    assert TALK.cleared() == Transcript("be brief")
    assert Transcript().undone() is None
    assert Transcript().unanswered() is None
    assert TALK.messages[0] == Message("system", "be brief")
    assert TALK.with_system(None).messages[0] == Message("user", "one")


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_undoing_leads_back(turns: Sequence[tuple[str, str]]) -> None:
    talk = Transcript()
    before = [talk]
    for question, answer in turns:
        talk = talk.asked(question).answered(answer)
        before.append(talk)
    for expected in reversed(before[:-1]):
        undone = talk.undone()
        assert undone == expected
        talk = undone


def test_what_is_saved_is_loaded_again_and_is_private(tmp_path: Path) -> None:
    save(TALK, tmp_path / "talk.json")
    assert load(tmp_path / "talk.json", Gathering()) == TALK
    assert stat.S_IMODE((tmp_path / "talk.json").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["talk.json"]
    assert json.loads((tmp_path / "talk.json").read_bytes())["messages"][2] == {
        "role": "assistant", "content": "1", "reasoning_content": "hm"
    }  # fmt: skip


def test_a_bare_list_of_messages_is_loaded_too(tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_text('[{"role":"user","content":"a"},{"role":"assistant","content":null}]')
    assert load(tmp_path / "talk.json", Gathering()) == Transcript().asked("a").answered("")


UNREADABLE = [
    ("no JSON", b"hello"),
    ("another JSON", b'{"model": "x"}'),
    ("no text", b'{"messages": [{"role": "user", "content": 5}]}'),
    ("a turn of a tool", b'{"messages": [{"role": "tool", "content": "5"}]}'),
    ("deep", b"[" * 100_000),
    ("binary", b"\xff\x00"),
]


@pytest.mark.parametrize("data", [row[1] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_no_conversation_is_told_as_such(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "talk.json").write_bytes(data)
    with pytest.raises(ConversationUnreadable, match="no conversation"):
        load(tmp_path / "talk.json", Gathering())


@pytest.fixture(autouse=True)
def _dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")


def test_questions_are_answered_with_all_that_was_said_before() -> None:
    speaker = Speaker("**Hel", "lo**", " there")
    said = chat(speaker, "hi", "and now?", settings=Settings(system="be kind"))
    assert "> hi\n\n**Hello** there\n\n> and now?\n\n**Hello** there\n" in said, (
        "a terminal without looks gets Markdown"
    )
    first, second = speaker.asked
    assert [word in first for word in ("be kind", "hi", "Hello")] == [True, True, False]
    assert [word in second for word in ("be kind", "hi", "**Hello** there", "and now?")] == [True] * 4


def test_what_is_taken_back_is_not_remembered() -> None:
    speaker = Speaker("yes")
    said = chat(speaker, "first", "second", "/undo", "third", "/clear", "fourth", "/undo", "/undo")
    assert "taken back: second" in said
    assert "first" in speaker.asked[2]
    assert "second" not in speaker.asked[2]
    assert "third" not in speaker.asked[3]
    assert "nothing was asked yet" in said


def test_a_question_is_answered_anew() -> None:
    speaker = Speaker("yes")
    said = chat(speaker, "/retry", "why?", "/retry")
    assert said.startswith("Chat with fake")
    assert "nothing was asked yet" in said
    assert speaker.asked == [speaker.asked[0]] * 2


def test_the_system_prompt_is_shown_set_and_removed() -> None:
    speaker = Speaker("yes")
    said = chat(speaker, "/system", "/system be brief", "a", "/system -", "b")
    assert "system prompt: none\n" in said
    assert "system prompt: be brief\n" in said
    assert "be brief" in speaker.asked[0]
    assert "be brief" not in speaker.asked[1]


def test_a_conversation_is_kept_in_a_file(tmp_path: Path) -> None:
    talk, other = tmp_path / "talk.json", tmp_path / "other"
    other.write_text("precious")
    speaker = Speaker("yes")
    said = chat(
        speaker, "a", f"/save {talk}", "b", f"/save {talk}", f"/save {other}", "/clear", f"/load {talk}", "c",
        f"/load {tmp_path}/none", f"/save {tmp_path}/no/such", f"/load {other}",
    )  # fmt: skip
    assert said.count(f"saved to {talk}") == 2, "its own file may be written again"
    assert f"{other} exists" in said
    assert other.read_text() == "precious"
    assert "4 messages; the last of them:\n> b\nyes\n" in said
    assert "a" in speaker.asked[2]
    assert f"{tmp_path}/none: No such file or directory" in said
    assert f"{tmp_path}/no/such: No such file or directory" in said
    assert f"{other}: no conversation" in said


def test_another_model_goes_on() -> None:
    first, second = Speaker("one"), Speaker("two")
    said = chat(first, "/model", "hi", "/model another", "and you?", "/model third", "/stats", another=second)
    assert "> /model\nmodel: fake; others: another\n" in said
    assert "> hi\n\none\n" in said
    assert "> /model another\nmodel: another; others: fake\n> and you?\n\ntwo\n" in said
    assert "there is no model third that writes text\n/model lists those that do." in said
    assert [("hi" in asked, "one" in asked) for asked in second.asked] == [(True, True)], "with all that was said"
    assert "model: fake\n" in chat(Speaker("one"), "/model"), "where there is one only"


def test_numbers_are_told() -> None:
    said = chat(Speaker("yes", " no"), "/stats", "a", "/stats")
    assert "context 0 of 500 tokens" in said
    assert "of 500 tokens at the last answer (" in said
    assert "last answer: 3 tokens" in said
    assert "its first word came after " in said


def test_ctrl_c_stops_the_answer_and_not_the_chat() -> None:
    speaker = Speaker("la ", "li ", goes_on=True)
    speaker.interrupts_at = 3
    said = chat(speaker, "sing", "/undo", n_ctx=1_000_000)  # not full before the signal is seen, on any machine
    assert "la li " in said
    assert re.search(r"\(stopped after [\d,]+ tokens?\)", said)
    assert "taken back: sing" in said


def test_ctrl_c_at_the_prompt_tells_how_to_leave() -> None:
    assert "Ctrl-D ends the chat\n" in chat(Speaker("yes"), KeyboardInterrupt)


def test_a_full_context_ends_the_answer_and_an_overfull_one_the_question() -> None:
    said = chat(Speaker("la ", goes_on=True), "sing", "word " * 100, "/undo", n_ctx=40)
    assert "(the context is full: /undo and /clear make room)" in said
    assert "exceeds the available context size (40 tokens)" in said
    assert "taken back: sing" in said, "a question that failed was not asked"


def test_a_limit_is_told() -> None:
    said = chat(Speaker("la ", goes_on=True), "sing", settings=Settings(max_tokens=3))
    assert "la la \n(that is all that --n-predict allows)\n\n" in said


def test_thoughts_stand_apart() -> None:
    speaker = Speaker("<think>", "hm", "</think>", "yes")
    template = "{% for m in messages %}{{ m.content }}<think></think>{% endfor %}"
    settings = Settings(chat=ChatSettings(template=template))
    said = chat(speaker, "a", settings=settings)
    assert "hm\n\nyes\n" in said


def test_a_mistake_and_an_empty_line_ask_nothing() -> None:
    speaker = Speaker("yes")
    assert "/help lists them" in chat(speaker, "", "   ", "/nonsense", "/exit", "never")
    assert speaker.asked == []
