"""The text that a custom tool is called with, out of the arguments that it is to the model: `{"input": "…"}`.

In pieces as they are generated, and whole. Knows JSON's strings; refuses to know items and events.
"""

from __future__ import annotations

import json
import re

from runtime.server.arguments import call_arguments
from runtime.server.openai.responses.tools import INPUT

_BEGIN = re.compile(rf'\s*\{{\s*"{INPUT}"\s*:\s*"')
_CHARACTERS = re.compile(
    r'(?:[^"\\]+|\\["\\/bfnrt]|\\u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|(?![dD][89abAB])[0-9a-fA-F]{4}))*'
)
"""What of a string (RFC 8259, section 7) is whole; the halves of a surrogate pair only together."""


class FreeText:
    """The text while its arguments come."""

    def __init__(self) -> None:
        self._arguments = ""
        self._read = 0
        self._sent: list[str] = []

    def push(self, arguments: str) -> str:
        """More of the text, as far as it is certain."""
        self._arguments += arguments
        if self._read == 0:
            begin = _BEGIN.match(self._arguments)
            self._read = begin.end() if begin else 0
        if self._read == 0:
            return ""
        whole = _CHARACTERS.match(self._arguments, self._read)
        assert whole is not None, "nothing at all is whole, too"
        self._read = whole.end()
        return self._handed_on(json.loads(f'"{whole[0]}"', strict=False))

    def finish(self) -> str:
        """The rest of the text."""
        text, sent = free_text(self._arguments), "".join(self._sent)
        return self._handed_on(text[len(sent) :] if text.startswith(sent) else "")

    @property
    def text(self) -> str:
        """What was handed on."""
        return "".join(self._sent)

    def _handed_on(self, text: str) -> str:
        self._sent.append(text)
        return text


def free_text(arguments: str) -> str:
    """The text in whole arguments; they themselves where the model has called otherwise than it was told to."""
    text = call_arguments(arguments).get(INPUT)
    return text if isinstance(text, str) else arguments
