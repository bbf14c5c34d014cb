"""What a model without a chat template is asked in: ChatML where its vocabulary knows that, else plain lines.

Light, as a launch asks it: refuses to import Jinja2.
"""

from __future__ import annotations

import msgspec

from runtime.chat.named import CHATML
from runtime.engine.facts import ModelFacts

_PLAIN = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + '\\n' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""The space behind `Assistant:` is the model's to write: tokens of words begin with one."""


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


def fallback_of(facts: ModelFacts, given: str | None) -> Fallback | None:
    """The template for a model, None where it has one, or one is `given` in its place."""
    if given or facts.chat_template:
        return None
    return _WITH_TOKENS if facts.knows_chatml else _WITHOUT


def fallback_line(facts: ModelFacts, given: str | None, who: str = "The model") -> str:
    """The same for people, in a line about `who`; "" where there is nothing to say."""
    fallback = fallback_of(facts, given)
    if fallback is None:
        return ""
    return f"{who} has no chat template: chats are written as {fallback.told} (--chat-template names another)"
