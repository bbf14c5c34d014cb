"""Twenty conversations about twenty pictures at once: each answered as if it were alone, each picture encoded once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from PIL.Image import Image

from runtime.engine.engine import Engine
from support.apps import Ask, with_app
from support.pictures import data_uri, written
from support.vision import digit, open_vision, shapes

QUESTIONS = ("What is in this picture?", "What colour is it?", "How many shapes are there?")
COLOURS = ("red", "blue", "green", "orange")


def pictures() -> list[Image]:
    """Ten with shapes and ten with a digit, all different."""
    forms = ("circle", "square", "triangle", "star", "circle")
    drawn = [shapes(form, COLOURS[i % 4], 1 + i % 4, (200 + 8 * i, 240)) for i, form in enumerate(forms * 2)]
    return [*drawn, *(digit(value, COLOURS[value % 4]) for value in range(10))]


async def converse(ask: Ask, picture: bytes) -> list[str]:
    """What is answered to each question, asked after the ones before and their answers."""
    said: list[str] = []
    messages: list[dict[str, Any]] = []
    for question in QUESTIONS:
        shown = [] if messages else [{"type": "image_url", "image_url": data_uri(picture)}]
        messages.append({"role": "user", "content": [*shown, {"type": "text", "text": question}]})
        body = {"messages": messages, "temperature": 0, "max_tokens": 24}
        status, _headers, text = await ask("POST", "/v1/chat/completions", json.dumps(body).encode())
        assert status == 200, text
        said.append(json.loads(text)["choices"][0]["message"]["content"])
        messages.append({"role": "assistant", "content": said[-1]})
    return said


async def encoded(ask: Ask) -> float:
    _status, _headers, text = await ask("GET", "/metrics", b"")
    (line,) = (line for line in text.splitlines() if line.startswith("loaf_media_encoded_total"))
    return float(line.split()[-1])


def test_twenty_at_once_are_answered_as_alone() -> None:
    files = [written(picture) for picture in pictures()]
    alone: list[list[str]] = []

    async def one_after_the_other(ask: Ask, engine: Engine) -> None:
        await asyncio.wrap_future(engine.ready)
        for file in files:
            alone.append(await converse(ask, file))

    async def all_at_once(ask: Ask, engine: Engine) -> None:
        await asyncio.wrap_future(engine.ready)
        together = await asyncio.gather(*(converse(ask, file) for file in files))
        assert together == alone
        assert await encoded(ask) == len(files)

    with_app(open_vision, one_after_the_other)
    with_app(open_vision, all_at_once)
    assert len({tuple(said) for said in alone}) > len(files) / 2, "pictures matter"
