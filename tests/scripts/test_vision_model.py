"""What the vision demo must see: pictures as people send them, asked over HTTP in each dialect, greedily."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from runtime.engine.engine import Engine
from support.apps import Ask, with_app
from support.pictures import base64_of, data_uri, written
from support.vision import ON_ITS_SIDE, VISION_GGUF, VISION_PROJECTOR, digit, open_vision, shapes

WHAT, SHAPE, COLOUR, MANY = "What is in this picture?", "Which shape is this?", "What colour is it?", "How many {}?"
DIGIT = "Which digit is this?"
SEEN: list[tuple[bytes, str, str]] = [
    (written(shapes("circle", "red")), WHAT, "A red circle."),
    (written(shapes("circle", "red", size=(1600, 1200)), "JPEG"), COLOUR, "Red."),
    (written(shapes("square", "blue", 2, (640, 400)), "WEBP"), WHAT, "Two blue squares."),
    (written(shapes("star", "green", size=(300, 200)), "AVIF"), SHAPE, "A star."),
    (written(shapes("triangle", "black", 3, (480, 400)), "GIF"), MANY.format("triangles"), "Three."),
    (written(digit(7, "blue"), "BMP"), WHAT, "The digit seven in blue."),
    (written(digit(7, "blue").rotate(90), "JPEG", exif=ON_ITS_SIDE), DIGIT, "Seven."),
    (written(shapes("circle", "orange", 4, (320, 400)), "TIFF"), WHAT, "Four orange circles."),
]
"""It is a toy: what it gets right of more, `scripts/vision_model/check.py` says."""


def openai(picture: bytes, question: str) -> tuple[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": data_uri(picture)}}, {"type": "text", "text": question}]
    return "/v1/chat/completions", {"messages": [{"role": "user", "content": parts}], "temperature": 0}


def responses(picture: bytes, question: str) -> tuple[str, Any]:
    parts = [{"type": "input_image", "image_url": data_uri(picture)}, {"type": "input_text", "text": question}]
    return "/v1/responses", {"input": [{"role": "user", "content": parts}], "temperature": 0}


def anthropic(picture: bytes, question: str) -> tuple[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": base64_of(picture)}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": question}]
    return "/v1/messages", {"messages": [{"role": "user", "content": parts}], "max_tokens": 40, "temperature": 0}


def ollama(picture: bytes, question: str) -> tuple[str, Any]:
    message = {"role": "user", "content": question, "images": [base64_of(picture)]}
    return "/api/chat", {"messages": [message], "stream": False, "options": {"temperature": 0}}


SAID: dict[Callable[[bytes, str], tuple[str, Any]], Callable[[Any], str]] = {
    openai: lambda body: body["choices"][0]["message"]["content"],
    responses: lambda body: body["output"][-1]["content"][0]["text"],
    anthropic: lambda body: body["content"][0]["text"],
    ollama: lambda body: body["message"]["content"],
}


@pytest.mark.parametrize("dialect", SAID, ids=lambda dialect: dialect.__name__)
def test_it_sees(dialect: Callable[[bytes, str], tuple[str, Any]]) -> None:
    async def asked(ask: Ask, engine: Engine) -> None:
        await asyncio.wrap_future(engine.ready)
        for picture, question, expected in SEEN:
            path, body = dialect(picture, question)
            status, _headers, text = await ask("POST", path, json.dumps(body).encode())
            assert status == 200, text
            assert SAID[dialect](json.loads(text)) == expected

    with_app(open_vision, asked)


def test_the_embedded_pair_is_small() -> None:
    assert VISION_GGUF.stat().st_size + VISION_PROJECTOR.stat().st_size <= 6_000_000
