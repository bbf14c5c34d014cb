"""Prompts in the forms that llama-server takes them in, which OpenAI's are some of: text, tokens, or both in turn.

Knows forms. Refuses to know what a prompt is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from runtime.chat.media import look_at, tokens_with_media
from runtime.engine.backend import Model, Projector
from runtime.engine.pieces import Prompt, Seen, begins_piece, is_of_piece
from runtime.media.given import SHOWN_AS, Gathering
from runtime.server.parts import Content, part_text, parts_of
from runtime.server.refusals import BadRequest
from runtime.settings import MediaSources

TokenLists = tuple[tuple[int, ...], ...]
"""The tokens of each prompt."""

Mixed = str | list[int | str]
"""Text, token ids, or both in turn."""


class PromptObject(msgspec.Struct):
    """A prompt with its pictures and sounds: in base64, each where the marker stands that `/props` tells of.

    Or all of it as the parts of a message, `content`, as llama-server takes it for vectors.
    """

    prompt_string: Mixed | None = None
    multimodal_data: list[str] | None = None
    content: Content = None


Prompts = str | PromptObject | list[int | str | PromptObject | list[int | str]]
"""A prompt, or a list of prompts. A list that has numbers in it is one prompt, as in llama-server."""


MOST_CHARACTERS = 16 * 1024 * 1024
"""Of several texts in one request together: each token takes 40 bytes while it waits to be computed."""


def check_amount(lengths: Iterable[int], field: str) -> None:
    """Raises `BadRequest` where texts of these lengths, in characters, are too much for one request."""
    total = sum(lengths)
    if total > MOST_CHARACTERS:
        raise BadRequest(f"{field}: {total:,} characters, and at most {MOST_CHARACTERS:,} can be sent at once", field)


def prompts_of(
    given: Prompts,
    model: Model,
    projector: Projector | None,
    sources: MediaSources,
    field: str,
    *,
    at_most: int,
    taking: Callable[[Prompt], Prompt] = lambda prompt: prompt,
) -> tuple[Prompt, ...]:
    """Each prompt, with pictures and sounds where it has some: of all together no more than a request may have.

    `taking` is given each before the next is looked at, and may change it, or raise. Raises as `prompt_tokens` and
    `look_at`.
    """
    prompts, media = _apart(given), Gathering()
    _check_number(prompts, field, at_most)
    names = [field] if len(prompts) == 1 else [f"{field}[{i}]" for i in range(len(prompts))]
    marked = [_marked(one, media, name) for one, name in zip(prompts, names, strict=True)]
    if len(marked) > 1:
        check_amount(map(_characters, marked), field)
    seen = {one.mark: made for one, made in look_at(media.given, projector, sources) if made is not None}
    return tuple(taking(_prompt_of(one, seen, model, field)) for one in marked)


def _marked(given: int | str | PromptObject | list[int | str], media: Gathering, field: str) -> Mixed:
    """A prompt with a mark in the place of each picture and sound, which `media` gathers. Raises `BadRequest`."""
    if not isinstance(given, PromptObject):
        return _bare(given, field)
    if given.content is not None:
        parts = enumerate(parts_of(given.content))
        return "".join(part_text(f"{field}.content[{i}]", part, "now", media) or "" for i, part in parts)
    data, text = given.multimodal_data or [], _prompt_string(given, field)
    texts = text.split(SHOWN_AS) if isinstance(text, str) else []
    if not data and len(texts) < 2:
        return text
    if len(texts) != len(data) + 1:
        where = f"{field}.prompt_string"
        raise BadRequest(f"{where}: must be text with {SHOWN_AS} for each of the multimodal_data", where)
    marks = [media.add(f"{field}.multimodal_data[{i}]", one, "image", is_now=True) for i, one in enumerate(data)]
    return texts[0] + "".join(mark + after for mark, after in zip(marks, texts[1:], strict=True))


def _prompt_of(given: Mixed, seen: Mapping[str, Seen], model: Model, field: str) -> Prompt:
    if isinstance(given, str):
        return Prompt(*tokens_with_media(given, seen, model, add_special=True))
    return Prompt(mixed_tokens(given, model, field))


def _check_number(prompts: Sequence[object], field: str, at_most: int) -> None:
    if not 1 <= len(prompts) <= at_most:
        raise BadRequest(f"{field}: 1 to {at_most:,} are needed", field)


def prompt_tokens(
    given: Prompts,
    model: Model,
    field: str,
    *,
    at_most: int,
    is_whole: bool = True,
) -> TokenLists:
    """The tokens of each prompt. Raises `BadRequest` where there are none, or more than `at_most`.

    One that is not whole is a piece of a text: nothing comes before it, and nothing in it is more than text.
    """
    prompts = _apart(given)
    _check_number(prompts, field, at_most)
    bare = [_bare(one, field) for one in prompts]
    if len(bare) > 1:
        check_amount(map(_characters, bare), field)
    return tuple(mixed_tokens(one, model, field, add_special=is_whole, parse_special=is_whole) for one in bare)


def mixed_tokens(
    given: Mixed, model: Model, field: str, *, add_special: bool = True, parse_special: bool = True
) -> tuple[int, ...]:
    """The tokens of one prompt; only text at its very beginning is given the model's BOS. Raises `BadRequest`."""
    if not isinstance(given, str):
        check_amount([_characters(given)], field)
    tokens: list[int] = []
    for i, part in enumerate([given] if isinstance(given, str) else given):
        if isinstance(part, str):
            tokens += model.tokenize(part, add_special=add_special and i == 0, parse_special=parse_special)
        else:
            tokens.append(known_token(part, model, field))
    return tuple(tokens)


def known_token(token: int, model: Model, field: str) -> int:
    """`token`, if the vocabulary has it. Raises `BadRequest`."""
    if not 0 <= token < model.facts.vocabulary_size:
        raise BadRequest(f"{field}: there is no token {token}", field, "/tokenize tells those of this model.")
    return token


def token_text(tokens: Sequence[int], model: Model) -> str:
    """The text of `tokens`, special ones included. Halves of characters become U+FFFD, pictures and sounds
    their marker."""
    return b"".join(_piece(token, model) for token in tokens).decode("utf-8", "replace")


def _piece(token: int, model: Model) -> bytes:
    if is_of_piece(token):
        return SHOWN_AS.encode() if begins_piece(token) else b""
    return model.piece(token, special=True)


def _apart(given: Prompts) -> list[int | str | PromptObject | list[int | str]]:
    if not isinstance(given, list):
        return [given]
    mixed = [part for part in given if isinstance(part, (int, str))]
    is_one = len(mixed) == len(given) and any(isinstance(part, int) for part in mixed)
    return [mixed] if is_one else given


def _characters(given: Mixed) -> int:
    return len(given) if isinstance(given, str) else sum(len(part) for part in given if isinstance(part, str))


def _bare(given: int | str | PromptObject | list[int | str], field: str) -> Mixed:
    """Without the object around it. Raises `BadRequest`."""
    if isinstance(given, int):
        raise BadRequest(f"{field}: numbers and lists do not go together", field, "Put each prompt into a list.")
    if not isinstance(given, PromptObject):
        return given
    if given.multimodal_data:
        where = f"{field}.multimodal_data"
        raise BadRequest(f"{where}: this model takes text only", where, "Leave it out.")
    return _prompt_string(given, field)


def _prompt_string(given: PromptObject, field: str) -> Mixed:
    if given.prompt_string is None:
        raise BadRequest(f"{field}.prompt_string: is missing", f"{field}.prompt_string")
    return given.prompt_string
