"""Contents of messages, in parts of any kind: what of them a model that reads text can be given.

A client sends all of its history with each request, with parts that were meant for other models. One policy for all
dialects: text is text, wherever it is in a part. What has none is left out of the assistant's own turns, since a model
writes what it sees itself having written; elsewhere a word in brackets stands for it. Only of what the user asks just
now a part that cannot be read is refused. Refuses to know whose dialect it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from runtime.chat.messages import Message
from runtime.media.given import Gathering, joined
from runtime.server.refusals import BadRequest

_DEPTH = 8
"""Parts within parts that are looked into."""

_THOUGHTS = ("thinking", "reasoning", "reasoning_text", "reasoning_content", "summary_text")


class Part(msgspec.Struct):
    """A piece of a message, of whatever `type`; the text in it may be in any of these fields.

    A picture is at `image_url` (OpenAI) or `source` (Anthropic), a sound at `input_audio` (OpenAI) or `audio_url`
    (vLLM); in which `detail` a picture is looked at, the model says.
    """

    type: str = "text"
    text: Any = None
    refusal: Any = None
    thinking: Any = None
    content: Any = None
    source: Any = None
    title: Any = None
    tool_name: Any = None
    image_url: Any = None
    input_audio: Any = None
    audio_url: Any = None
    detail: Any = None


Content = str | list[str | Part] | Part | None
"""What clients send as a content."""

Place = Literal["now", "earlier", "assistant"]
"""Whose content: what the user asks now, what anybody else said, what the assistant did."""


Parts = str | Part | Sequence[str | Part] | None
"""The same, of whatever dialect."""


def place_of(role: str, *, is_now: bool) -> Place:
    """Where a content of this role's is."""
    return "assistant" if role == "assistant" else "now" if is_now else "earlier"


def parts_of(content: Parts) -> list[Part]:
    """`content` as parts, of which a text is one."""
    if content is None:
        return []
    given = [content] if isinstance(content, (str, Part)) else content
    return [Part(text=one) if isinstance(one, str) else one for one in given]


def text_of(field: str, content: Parts, place: Place, media: Gathering | None = None) -> str:
    """All that can be read of `content`, thoughts left out. `media`, and what is raised: see `part_text`."""
    return joined(part_text(f"{field}[{i}]", part, place, media) for i, part in enumerate(parts_of(content)))


def output_text(given: Any, media: Gathering | None = None, field: str = "output") -> str:
    """What a tool gave: its text, or whatever else it is as JSON."""
    if given is None:
        return ""
    if _has_parts(given):
        return text_of(field, msgspec.convert(given, Content), "earlier", media)
    if isinstance(given, dict) and isinstance(given.get("content"), str):
        return str(given["content"])
    return msgspec.json.encode(given).decode()


def thoughts_of(content: Parts) -> str:
    """What was thought, in parts of its own between what was said."""
    return "\n".join(thoughts_in(part) for part in parts_of(content) if part.type in _THOUGHTS)


def thoughts_in(part: Part) -> str:
    """The thoughts that a part of such a type is."""
    return _plain(part.thinking) or _plain(part.text) or _plain(part.content)


def part_text(field: str, part: Part, place: Place, media: Gathering | None = None) -> str | None:
    """The text of a part, or what stands for it; None where nothing does.

    Pictures and sounds are given to `media`, which has a mark for each. Raises `BadRequest`, which names the part at
    `field`, for what the user asks now and has no text.
    """
    if part.type in _THOUGHTS or "redacted" in part.type:
        return None
    for text in (part.text, part.refusal):
        if text is not None:
            return _plain(text)
    if place == "assistant":
        return None
    if media is not None and (source := _source(part)) is not None:
        return media.add(field, source, part.type, is_now=place == "now")
    if text := _below(part):
        return text
    if place == "now":
        raise BadRequest(f"{field}: this model takes text only, not {part.type!r}", field, "Send it as text.")
    named = f": {part.tool_name}" if isinstance(part.tool_name, str) else ""
    return f"[{part.type.removeprefix('input_').removesuffix('_url')}{named}]"


def newest(roles: Sequence[str | None]) -> int:
    """Which of the turns asks now: the user's last one, unless the assistant has answered it; -1 for none."""
    for i in range(len(roles) - 1, -1, -1):
        if roles[i] == "user":
            return i
        if roles[i] == "assistant":
            break
    return -1


def is_empty(message: Message) -> bool:
    """Whether nothing of a message was left."""
    return not (message.content or message.reasoning or message.tool_calls)


def _source(part: Part) -> str | None:
    """Where a part's picture or sound is: an address, or base64."""
    if part.type in ("image_url", "input_image", "image"):
        given = part.image_url if part.image_url is not None else part.source
    elif part.type in ("input_audio", "audio_url"):
        given = part.input_audio if part.input_audio is not None else part.audio_url
    else:
        return None
    if isinstance(given, dict):
        given = given.get("url") or given.get("data")
    return given if isinstance(given, str) and given else None


def _below(part: Part) -> str:
    """The text inside of a part: a document's source, what a search found."""
    source = part.source if isinstance(part.source, dict) else {}
    inside = source.get("data") if source.get("type") == "text" else source.get("content")
    text = _plain(part.content) or _plain(inside)
    return "\n".join(filter(None, (_plain(part.title), text))) if text else ""


def _has_parts(given: Any) -> bool:
    if isinstance(given, list):
        return all(isinstance(one, str) or _is_part(one) for one in given)
    return isinstance(given, str) or _is_part(given)


def _is_part(given: Any) -> bool:
    return isinstance(given, dict) and isinstance(given.get("type"), str)


def _plain(value: Any, depth: int = 0) -> str:
    """The text in JSON of any form: a string, parts, a part, or a part's text in an object of its own."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and depth < _DEPTH:
        return "\n".join(filter(None, (_plain(one, depth + 1) for one in value)))
    if isinstance(value, dict) and depth < _DEPTH:
        return next(filter(None, (_plain(value.get(key), depth + 1) for key in ("text", "content", "value"))), "")
    return ""
