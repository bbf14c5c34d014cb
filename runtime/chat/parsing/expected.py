"""What is known of an answer before it comes: all that a parser is made of."""

from __future__ import annotations

import msgspec

from runtime.chat.formats.format import Format, Span
from runtime.chat.messages import Tool


class Expected(msgspec.Struct, frozen=True):
    """What is known of an answer before it comes.

    `tools` () means that calls are not looked for. `reasoning` is what stands around it, None if there is none;
    `begun` says that its beginning is in the prompt. `opening` is what of the answer's marks is in the prompt.
    `calls_before` counts the calls of the conversation. `is_spaced`: space before the answer is no part of it.
    """

    format: Format
    tools: tuple[Tool, ...] = ()
    reasoning: Span | None = None
    begun: bool = False
    opening: str = ""
    splits_reasoning: bool = True
    calls_before: int = 0
    is_spaced: bool = False
