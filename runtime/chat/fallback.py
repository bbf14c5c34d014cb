"""What a model without a chat template is asked in: ChatML where its vocabulary knows that, else plain lines.

Light, as a launch asks it: refuses to import Jinja2.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from runtime.chat.named import CHATML
from runtime.engine.facts import ModelFacts

_CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")

_PLAIN = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + '\\n' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""The space behind `Assistant:` is the model's to write: tokens of words begin with one."""


class Tokenizer(Protocol):
    """What is needed of a model: its facts and its vocabulary."""

    facts: ModelFacts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]: ...


class Fallback(msgspec.Struct, frozen=True):
    """A template in place of one that the model does not have.

    `stop` are texts with which an answer has ended, for a model that would go on and play the user. `is_spaced`: the
    answer begins with a space that is not part of it. `told` is how people call the template.
    """

    template: str
    told: str
    stop: tuple[str, ...] = ()
    is_spaced: bool = False


_WITH_TOKENS = Fallback(CHATML, "ChatML, whose tokens the model has")
_WITHOUT = Fallback(_PLAIN, "plain lines of User: and Assistant:", ("\nUser:", "\nAssistant:"), is_spaced=True)


def fallback_of(model: Tokenizer, given: str | None) -> Fallback | None:
    """The template for `model`, None where it has one, or one is `given` in its place."""
    if given or model.facts.chat_template:
        return None
    knows = all(len(model.tokenize(text, add_special=False, parse_special=True)) == 1 for text in _CHATML_TOKENS)
    return _WITH_TOKENS if knows else _WITHOUT


def fallback_line(model: Tokenizer, given: str | None) -> str:
    """The same for people, in a line; "" where there is nothing to say."""
    fallback = fallback_of(model, given)
    if fallback is None:
        return ""
    return f"The model has no chat template: chats are written as {fallback.told} (--chat-template names another)"
