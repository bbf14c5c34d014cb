"""The pictures of a conversation: looked at before it is rendered, and put where their marks are in what was.

Knows marks, and what a model makes of a picture. Refuses to know templates and how pictures are decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from runtime.chat.conversation import Conversation
from runtime.chat.messages import Message
from runtime.engine.backend import Projector
from runtime.engine.pieces import PlacedPiece, Seen
from runtime.media.decoding import MOST_PICTURES, decode, digest_of
from runtime.media.errors import MediaTooMany, MediaUnsupported
from runtime.media.finding import bytes_of
from runtime.media.given import SHOWN_AS, Given, apart, with_words
from runtime.settings import MediaSources


class Tokenizing(Protocol):
    """As `runtime.engine.backend.Model` does it."""

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]: ...


def as_text(conversation: Conversation) -> Conversation:
    """The same for a model that sees nothing: a word is in the place of each picture.

    Raises `MediaUnsupported` where the user shows one just now.
    """
    for given in conversation.media:
        if given.is_now:
            raise MediaUnsupported(given.field, given.kind)
    messages = tuple(map(_in_words, conversation.messages))
    return msgspec.structs.replace(conversation, messages=messages, media=())


def look_at(media: tuple[Given, ...], projector: Projector, sources: MediaSources) -> dict[str, Seen]:
    """What the model makes of each picture, by its mark. Takes long. Raises `MediaError`, `PictureUnusable`."""
    if len(media) > MOST_PICTURES:
        raise MediaTooMany(media[MOST_PICTURES].field, MOST_PICTURES)
    return {given.mark: _look_at(given, projector, sources) for given in media}


def tokens_with_pictures(
    text: str, seen: Mapping[str, Seen], model: Tokenizing, *, add_special: bool
) -> tuple[tuple[int, ...], tuple[PlacedPiece, ...]]:
    """The tokens of a prompt, and where its pictures are among them. A mark that nobody gave is nothing."""
    tokens: list[int] = []
    pieces: list[PlacedPiece] = []
    for i, part in enumerate(apart(text)):
        if i % 2 == 0:
            if part or i == 0:
                tokens += model.tokenize(part, add_special=add_special and i == 0, parse_special=True)
            continue
        for one in seen.get(part, ()):
            if isinstance(one, tuple):
                tokens += one
            else:
                pieces.append(PlacedPiece(len(tokens), one))
                tokens += one.tokens
    return tuple(tokens), tuple(pieces)


def shown(text: str) -> str:
    """`text` as people may see it."""
    return with_words(text, SHOWN_AS)


def _look_at(given: Given, projector: Projector, sources: MediaSources) -> Seen:
    data = bytes_of(given, sources)
    return projector.seen(digest_of(data)) or projector.see(decode(given.field, data))


def _in_words(message: Message) -> Message:
    return msgspec.structs.replace(message, content=with_words(message.content, "[image]"))
