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
from runtime.media.given import Gathering, Given, apart, joined

LARGEST_FILE = 128 * 2**20
"""Bytes; no context holds more, with its pictures and sounds."""

_ROLES = ("user", "assistant")


class _Address(msgspec.Struct):
    url: str


class _Sound(msgspec.Struct):
    data: str
    format: str = ""


class _SavedPart(msgspec.Struct, omit_defaults=True):
    type: str
    text: str | None = None
    image_url: _Address | None = None
    input_audio: _Sound | None = None


class _SavedMessage(msgspec.Struct, omit_defaults=True):
    role: str
    content: str | list[_SavedPart] | None
    reasoning_content: str | None = None


class _Saved(msgspec.Struct):
    messages: list[_SavedMessage]


def save(transcript: Transcript, path: Path) -> None:
    """Write a file that nobody else may read: whole or not at all. Raises `OSError`."""
    shown = {given.mark: given for given in transcript.shown}
    messages = [
        _SavedMessage(message.role, _content(message.content, shown), message.reasoning or None)
        for message in transcript.messages
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


def load(path: Path, gathering: Gathering) -> Transcript:
    """What `save` wrote, or a bare list of messages; `gathering` has its pictures and sounds then.

    Raises `ConversationUnreadable` and `OSError`.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ConversationUnreadable(path, f"it is larger than {LARGEST_FILE:,} bytes")
    try:
        found = msgspec.json.decode(data, type=_Saved | list[_SavedMessage])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConversationUnreadable(path, str(error)) from error
    messages = found.messages if isinstance(found, _Saved) else found
    has_system = bool(messages) and messages[0].role in ("system", "developer")
    system = _text(messages.pop(0).content, gathering) if has_system else None
    strange = next((message.role for message in messages if message.role not in _ROLES), None)
    if strange is not None:
        raise ConversationUnreadable(path, f"a chat has no turns of the role {strange!r} here")
    turns = tuple(Message(each.role, _text(each.content, gathering), each.reasoning_content or "") for each in messages)
    return Transcript(system or None, turns, gathering.given)


def _content(text: str, shown: dict[str, Given]) -> str | list[_SavedPart]:
    """`text`, in parts where marks are in it."""
    pieces = apart(text)
    if len(pieces) == 1:
        return text
    return [
        _saved(shown[piece]) if i % 2 else _SavedPart("text", text=piece) for i, piece in enumerate(pieces) if piece
    ]


def _saved(given: Given) -> _SavedPart:
    if given.claims == "picture":
        return _SavedPart("image_url", image_url=_Address(given.source))
    header, _, data = given.source.rpartition(",")
    kind = header.partition(";")[0].rpartition("/")[2]
    return _SavedPart("input_audio", input_audio=_Sound(data, {"mpeg": "mp3"}.get(kind, kind)))


def _source(part: _SavedPart) -> str | None:
    if part.image_url is not None:
        return part.image_url.url
    return None if part.input_audio is None else part.input_audio.data


def _text(content: str | list[_SavedPart] | None, gathering: Gathering) -> str:
    """The same back: a mark for each picture and sound."""
    if content is None or isinstance(content, str):
        return content or ""
    return joined(
        part.text if source is None else gathering.add("", source, part.type, is_now=False)
        for part in content
        for source in (_source(part),)
    )
