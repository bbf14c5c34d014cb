"""Responses that are asked for again: themselves, what they answer, and what goes on from them.

Knows what is kept of a response, and in which form it is told. Refuses to know how it came to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from runtime.engine.jobs import Generation
from runtime.server.items import InputItem
from runtime.server.json import encode, json_response
from runtime.server.openai.memory import MEMORY, AnswerMemory, Kept
from runtime.server.openai.responses.output import ResponseHead, new_id
from runtime.server.refusals import BadRequest, UnknownAnswer

_MOST_ITEMS = 100
"""OpenAI's limit of a page."""


class _Answered(msgspec.Struct):
    """What of a response the conversation goes on with."""

    output: list[InputItem]


async def response(request: web.Request) -> web.Response:
    """Look up a response that was stored."""
    return web.Response(body=_found(request).answer, content_type="application/json", charset="utf-8")


async def forget_response(request: web.Request) -> web.Response:
    """Forget a response. What went on from it can be told, and not be gone on from any more."""
    id_ = request.match_info["id"]
    request.app[MEMORY].forget(id_)
    return json_response({"id": id_, "object": "response", "deleted": True})


async def cancel_response(request: web.Request) -> web.Response:
    """End a response that is being made; one that is there already is told as it is."""
    kept = _found(request)
    if request.app[MEMORY].end(request.match_info["id"]):
        told = msgspec.json.decode(kept.answer, type=dict[str, Any])
        return json_response({**told, "status": "cancelled"})
    return web.Response(body=kept.answer, content_type="application/json", charset="utf-8")


async def input_items(request: web.Request) -> web.Response:
    """What a response answers, the newest first unless `?order=asc`; a page of `limit` items after the item `after`."""
    *earlier, last = request.app[MEMORY].conversation(request.match_info["id"])
    items = await asyncio.to_thread(_told_items, earlier, last)
    if request.query.get("order") != "asc":
        items.reverse()
    if after := request.query.get("after"):
        items = items[next((i + 1 for i, item in enumerate(items) if item["id"] == after), 0) :]
    page = items[: _limit(request.query.get("limit", "20"))]
    return json_response(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(page) < len(items),
        }
    )


class Keeping:
    """How the response to one request is kept, from when it is queued on."""

    def __init__(self, memory: AnswerMemory, head: ResponseHead, items: bytes, previous: str | None) -> None:
        self._memory = memory
        self._head = head
        self._items = items
        self._previous = previous

    def begin(self, generations: Sequence[Generation]) -> None:
        """It is computed from now on, until it is cancelled."""

        def end() -> None:
            for one in generations:
                one.abort()

        self._memory.begin(self._head.id, self._kept(self._head.begun()), end)

    def keep(self, response: dict[str, Any]) -> None:
        """As it is now."""
        self._memory.keep(self._head.id, self._kept(response))

    def _kept(self, response: dict[str, Any]) -> Kept:
        return Kept(encode(response), self._items, self._previous)


def written_items(given: str | Sequence[InputItem]) -> bytes:
    """What a request says, as it is kept: a JSON list of items that have ids."""
    items = [InputItem(role="user", content=given)] if isinstance(given, str) else given
    return msgspec.json.encode([_written(item) for item in items])


def said_before(memory: AnswerMemory, id_: str | None) -> list[Kept]:
    """The responses up to `id_`, which a conversation goes on from. Raises `BadRequest` where one is not known."""
    if not id_:
        return []
    try:
        return memory.conversation(id_)
    except UnknownAnswer as error:
        raise BadRequest(f"previous_response_id: {error.message}", "previous_response_id", error.hint) from error


def items_of(conversation: Sequence[Kept]) -> list[InputItem]:
    """All that was said in it, the answers too."""
    items: list[InputItem] = []
    for kept in conversation:
        items += msgspec.json.decode(kept.items, type=list[InputItem])
        items += msgspec.json.decode(kept.answer, type=_Answered).output
    return items


def _told_items(earlier: Sequence[Kept], last: Kept) -> list[dict[str, Any]]:
    """The same as it was said, up to the last answer."""
    items: list[dict[str, Any]] = []
    for kept in earlier:
        items += msgspec.json.decode(kept.items)
        items += msgspec.json.decode(kept.answer)["output"]
    return [*items, *msgspec.json.decode(last.items)]


def _found(request: web.Request) -> Kept:
    return request.app[MEMORY].find(request.match_info["id"])


def _written(item: InputItem) -> dict[str, Any]:
    """In OpenAI's form, which has text in parts."""
    written = {name: value for name, value in msgspec.to_builtins(item).items() if value not in (None, "")}
    is_message = item.type in (None, "message")
    if is_message:
        written["type"] = "message"
    if is_message and isinstance(item.content, str):
        kind = "output_text" if item.role == "assistant" else "input_text"
        written["content"] = [{"type": kind, "text": item.content}]
    return {"id": new_id("item"), **written}


def _limit(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) <= 3 and 1 <= int(given) <= _MOST_ITEMS):
        raise BadRequest(f"limit: must be from 1 to {_MOST_ITEMS}", "limit")
    return int(given)
