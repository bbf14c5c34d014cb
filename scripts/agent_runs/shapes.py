"""What requests carried, in words: paths, sizes, kinds of tools and of parts. Reads all three dialects of chats."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from exchanges import Exchange

_CHATS = ("/chat/completions", "/responses", "/messages")
_TELLING = ("user-agent", "anthropic-version", "anthropic-beta", "originator", "openai-beta", "x-stainless-lang")


def first_chat(seen: Sequence[Exchange]) -> Exchange | None:
    """The first request with tools, else the first that asks for an answer."""
    chats = [one for one in seen if one.method == "POST" and one.path.partition("?")[0].endswith(_CHATS)]
    return next((one for one in chats if body_of(one).get("tools")), chats[0] if chats else None)


def described(exchange: Exchange) -> str:
    """A few lines: what it asked, headers that tell something, its fields, kinds of tools and of parts."""
    body = body_of(exchange)
    headers = {name.lower(): value for name, value in exchange.headers.items()}
    lines = [f"{exchange.method} {exchange.path}, {len(exchange.body)} bytes"]
    lines += [f"{name}: {headers[name]}" for name in _TELLING if name in headers]
    lines.append("fields: " + ", ".join(body))
    lines.append("tools: " + _counted(tool.get("type", "no type") for tool in body.get("tools", ())))
    lines.append(
        "called: "
        + ", ".join(str(tool.get("name") or tool.get("function", {}).get("name")) for tool in body.get("tools", ()))
    )
    lines.append("carries: " + _counted(_kinds(body)))
    return "\n".join(lines)


def body_of(exchange: Exchange) -> dict[str, Any]:
    """Its JSON object; an empty one for what is none."""
    try:
        body = json.loads(exchange.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _kinds(body: dict[str, Any]) -> Iterator[str]:
    system = body.get("system")
    if isinstance(system, list):
        yield from (f"system {block.get('type')}" for block in system)
    elif system or body.get("instructions"):
        yield "system string"
    items = body.get("messages") or body.get("input") or ()
    for item in items if isinstance(items, list) else ():
        kind = item.get("role") or item.get("type")
        content = item.get("content")
        parts = [part.get("type") for part in content] if isinstance(content, list) else ["string"] if content else []
        yield from (f"{kind} {part}" for part in parts or ["nothing"])
        if item.get("tool_calls"):
            yield f"{kind} tool_calls"


def _counted(kinds: Iterator[str]) -> str:
    counts = Counter(kinds)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"
