"""Conversations as JSON: the `messages` of OpenAI's chat completions, so that other programs can read and write them.

Knows the format. Refuses to know what a chat does with it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

from runtime.chat.messages import Message
from runtime.console.errors import ConversationUnreadable
from runtime.console.transcript import Transcript

LARGEST_FILE = 16 * 2**20
"""Bytes; no context holds more."""

_ROLES = ("user", "assistant")


class _SavedMessage(msgspec.Struct, omit_defaults=True):
    role: str
    content: str | None
    reasoning_content: str | None = None


class _Saved(msgspec.Struct):
    messages: list[_SavedMessage]


def save(transcript: Transcript, path: Path) -> None:
    """Write a file that nobody else may read: whole or not at all. Raises `OSError`."""
    messages = [
        _SavedMessage(message.role, message.content, message.reasoning or None) for message in transcript.messages
    ]
    data = msgspec.json.format(msgspec.json.encode(_Saved(messages)), indent=2)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # for its owner only
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data + b"\n")
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def load(path: Path) -> Transcript:
    """What `save` wrote, or a bare list of messages. Raises `ConversationUnreadable` and `OSError`."""
    with path.open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ConversationUnreadable(path, f"it is larger than {LARGEST_FILE:,} bytes")
    try:
        found = msgspec.json.decode(data, type=_Saved | list[_SavedMessage])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConversationUnreadable(path, str(error)) from error
    messages = found.messages if isinstance(found, _Saved) else found
    system = messages.pop(0).content if messages and messages[0].role in ("system", "developer") else None
    strange = next((message.role for message in messages if message.role not in _ROLES), None)
    if strange is not None:
        raise ConversationUnreadable(path, f"a chat has no turns of the role {strange!r} here")
    turns = (Message(each.role, each.content or "", each.reasoning_content or "") for each in messages)
    return Transcript(system or None, tuple(turns))
