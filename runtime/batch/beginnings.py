"""What requests begin with that a server need compute only once: by it they are told which belong together.

Refuses to know who computes it.
"""

from __future__ import annotations

from typing import Any

import msgspec

_TOKENS = 64
_CHARACTERS = 256
"""Of each text. Many begin with the same document and end with a question of their own; so the whole does not count."""


def beginning_of(body: bytes) -> bytes:
    """The same for requests that begin alike; b"" where nothing is known of it.

    Of a conversation the first message counts, and the second where the first is not the user's: many share that.
    """
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""
    if not isinstance(asked, dict):
        return b""
    said = asked.get("messages") or asked.get("input") or asked.get("prompt")
    items = said if isinstance(said, list) else [said]
    if items and isinstance(items[0], int):
        return msgspec.json.encode(items[:_TOKENS])
    first_is_users = _of(items[0], "role") in (None, "user") if items else True
    return "\0".join(_text(item)[:_CHARACTERS] for item in items[: 1 if first_is_users else 2]).encode(errors="replace")


def _text(item: Any) -> str:
    """What it says: a text itself, a message, or a message of several parts; pictures as what they are told by."""
    content = item if isinstance(item, str) else _of(item, "content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [text for part in parts if isinstance(text := _of(part, "text"), str)]
    return "".join(texts) if texts else msgspec.json.encode(content).decode()


def _of(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, dict) else None
