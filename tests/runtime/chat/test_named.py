"""Templates by llama.cpp's names, against what llama.cpp writes for the same conversations."""

from __future__ import annotations

import ctypes

import pytest

from runtime.chat.conversation import Conversation
from runtime.chat.messages import Message
from runtime.chat.named import NAMED
from runtime.chat.prompt import PromptBuilder
from runtime.cli.main import command
from runtime.cli.translate import settings_from
from runtime.engine.llama.binding import import_binding
from support.characters import Characters

LIB, _LOGS = import_binding()

CONVERSATIONS = {
    "a question": [("user", "Who are you? ")],
    "several turns": [("user", "Hi"), ("assistant", "  Hello.  "), ("user", "{{ 'q' }} <b>\n\"漢\"")],
    "a system prompt": [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Again")],
}


def written_by_llama(name: str, turns: list[tuple[str, str]]) -> str:
    """What `llama_chat_apply_template` makes of `turns`."""
    texts = [(role.encode(), content.encode()) for role, content in turns]
    chat = (LIB.llama_chat_message * len(texts))(*(LIB.llama_chat_message(*text) for text in texts))
    buffer = ctypes.create_string_buffer(10_000)
    length = LIB.llama_chat_apply_template(name.encode(), chat, len(texts), True, buffer, len(buffer))
    assert 0 <= length < len(buffer)
    return buffer.raw[:length].decode()


def written_by_us(name: str, turns: list[tuple[str, str]]) -> str:
    builder = PromptBuilder(Characters(chat_template=None), None, NAMED[name])
    return builder.prepare(Conversation(tuple(Message(role, content) for role, content in turns))).text


def test_every_name_is_known() -> None:
    names = (ctypes.c_char_p * 200)()
    count = LIB.llama_chat_builtin_templates(names, len(names))
    assert sorted(name.decode() for name in names[:count] if name) == sorted(NAMED)


@pytest.mark.parametrize("turns", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("name", NAMED)
def test_it_is_written_as_llama_cpp_does(name: str, turns: list[tuple[str, str]]) -> None:
    expected = written_by_llama(name, turns)
    if name == "yandex" and turns[0][0] == "system":  # it leaves out what the system says
        expected = expected.replace(" Hi", " Be brief.\n\nHi", 1)
    assert written_by_us(name, turns) == expected


def test_a_name_stands_for_its_template() -> None:
    context = command.make_context("loaf", ["--chat-template", "mistral-v7"])
    assert settings_from(None, context).chat.template == NAMED["mistral-v7"]
