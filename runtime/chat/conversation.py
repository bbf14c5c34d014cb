"""All that a dialect says of the answer it wants, apart from how tokens are sampled."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from runtime.chat.messages import Message, Tool
from runtime.media.given import Given


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether tools are to be called: as the model likes, not at all, or at least one.

    With `name` it is this one that must be called, whatever `mode` says.
    """

    mode: Literal["auto", "none", "required"] = "auto"
    name: str | None = None


class Conversation(msgspec.Struct, frozen=True):
    """The turns so far, and what the next one may be. `media` are the pictures and sounds whose marks
    are in their texts.

    `schema` is a JSON schema that the content must follow, None for none; `grammar` is GBNF for it, "" for none.
    `thinks` None: as the template does by itself. `effort` is "low", "medium" or "high", for templates that know it.
    Without `splits_reasoning`, reasoning stays in the content, tags included. `template_values` are handed to the
    template as they are. With `continues_last` the last message is the assistant's, and the answer goes on from it, or
    from its thoughts where it has said nothing yet. Without `opens_answer` the model begins its turn by itself.
    `thought_tokens` and `thought_message` are as in `ChatSettings`, None: as those have it.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_calls: bool = True
    schema: Any = None
    grammar: str = ""
    thinks: bool | None = None
    effort: str | None = None
    splits_reasoning: bool = True
    template_values: dict[str, Any] = {}
    continues_last: bool = False
    opens_answer: bool = True
    media: tuple[Given, ...] = ()
    thought_tokens: int | None = None
    thought_message: str | None = None
