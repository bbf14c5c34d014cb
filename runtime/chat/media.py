"""The pictures and sounds of a conversation: taken in before it is rendered, and put where their marks are in what was.

Knows marks, and what a model makes of a picture or a sound. Refuses to know templates and how these are decoded.
"""

from __future__ import annotations

import threading
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
from runtime.media.kinds import KINDS, Kind, is_sound
from runtime.media.sounds import decode_sound
from runtime.settings import MediaSources

_hearing = threading.Lock()
"""Half an hour of samples takes 115 MB, from a file of any size: no more of them than one wait for the model."""


class Tokenizing(Protocol):
    """As `runtime.engine.backend.Model` does it."""

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]: ...


class TakenIn(msgspec.Struct, frozen=True):
    """A conversation with words in the place of what the model cannot take, and what it makes of the rest, by marks."""

    conversation: Conversation
    seen: dict[str, Seen]


def taken_in(conversation: Conversation, projector: Projector | None, sources: MediaSources) -> TakenIn:
    """Takes long. Raises as `look_at`."""
    made = look_at(conversation.media, projector, sources)
    seen = {given.mark: one for given, one in made if one is not None}
    words = {given.mark: given.word for given, one in made if one is None}
    if words:
        messages = tuple(_in_words(message, words) for message in conversation.messages)
        conversation = msgspec.structs.replace(conversation, messages=messages)
    return TakenIn(conversation, seen)


def look_at(
    media: tuple[Given, ...], projector: Projector | None, sources: MediaSources
) -> list[tuple[Given, Seen | None]]:
    """What the model makes of each; None where it takes none of the kind, and nobody asks about it now. Takes long.

    Raises `MediaError`, `PictureUnusable`, `PictureTooLarge`, `SoundUnusable`.
    """
    if len(media) > MOST_PICTURES:
        raise MediaTooMany(media[MOST_PICTURES].field, MOST_PICTURES)
    return [(given, _look_at(given, projector, sources)) for given in media]


def tokens_with_media(
    text: str, seen: Mapping[str, Seen], model: Tokenizing, *, add_special: bool
) -> tuple[tuple[int, ...], tuple[PlacedPiece, ...]]:
    """The tokens of a prompt, and where its pieces are among them. A mark that nobody gave is nothing."""
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


def takes(projector: Projector | None, kind: Kind) -> bool:
    """Whether a model with that projector takes files of this kind."""
    return projector is not None and (projector.hears if kind == "sound" else projector.sees)


def taken_by(projector: Projector | None) -> str:
    """What it takes, in words."""
    senses = [f"{kind}s" for kind in KINDS if takes(projector, kind)]
    return " and ".join(["text", *senses]) if len(senses) < 2 else "text, pictures and sounds"


def shown(text: str) -> str:
    """`text` as people may see it."""
    return with_words(text, lambda _mark: SHOWN_AS)


def _look_at(given: Given, projector: Projector | None, sources: MediaSources) -> Seen | None:
    if not given.is_now and not takes(projector, given.claims):
        return None
    if projector is None:
        raise MediaUnsupported(given.field, given.kind)
    data = bytes_of(given, sources)
    known = projector.seen(digest_of(data))
    if known is not None:
        return known
    kind: Kind = "sound" if is_sound(data) else given.claims
    if not takes(projector, kind):
        if given.is_now:
            raise MediaUnsupported(given.field, given.kind, taken_by(projector))
        return None
    if kind == "sound":
        with _hearing:
            return projector.hear(decode_sound(given.field, data, projector.sample_rate))
    return projector.see(decode(given.field, data))


def _in_words(message: Message, words: Mapping[str, str]) -> Message:
    content = with_words(message.content, lambda mark: words.get(mark, mark))
    return msgspec.structs.replace(message, content=content)
