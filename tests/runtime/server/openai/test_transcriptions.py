"""`/v1/audio/transcriptions` and `/translations`, by OpenAI's own package, of a model that hears nothing real."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from runtime.engine.engine import Engine
from support.apps import Ask, with_app, with_engine_port
from support.hearing_projectors import CELLS_OF_HALF_A_MINUTE, ultravox
from support.projectors import llava
from support.senses import demo_with
from support.sounds import FORMS, silence, tone, wav, written

NOTE = ("note.wav", wav(seconds=1.5))
ASKED: dict[str, Any] = {"file": NOTE, "model": "whisper-1"}
SHORT: dict[str, Any] = {"extra_body": {"max_tokens": "12"}}

Client = openai.AsyncOpenAI


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ultravox(tmp_path_factory.mktemp("projector") / "ultravox.gguf", 192)


def asked(projector_file: Path | None, body: Callable[[Client], Awaitable[None]]) -> None:
    async def with_client(port: int, engine: Engine) -> None:
        await asyncio.wrap_future(engine.ready)
        async with Client(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0) as client:
            await body(client)

    with_engine_port(demo_with(projector_file), with_client)


def test_it_is_written_down(hearing: Path) -> None:
    async def body(client: Client) -> None:
        create = client.audio.transcriptions.create
        done = await create(**ASKED, **SHORT)
        usage: Any = done.usage
        assert (usage.type, usage.output_tokens) == ("tokens", 12)
        assert usage.input_token_details.audio_tokens == CELLS_OF_HALF_A_MINUTE
        assert done.text
        assert (await create(**ASKED, **SHORT)).text == done.text, "without chance, unless it is asked for"
        other: Any = await create(**ASKED, language="en", prompt="A note.", **SHORT)
        assert other.usage.input_tokens > usage.input_tokens
        assert (await create(**{**ASKED, "file": ("x.wav", wav(2000))}, **SHORT)).text != done.text

    asked(hearing, body)


def test_each_form_of_an_answer(hearing: Path) -> None:
    async def body(client: Client) -> None:
        create: Any = client.audio.transcriptions.create
        done = await create(**ASKED, **SHORT)
        assert (await create(**ASKED, response_format="text", **SHORT)).strip() == done.text
        verbose = await create(**ASKED, response_format="verbose_json", language="en", **SHORT)
        assert (verbose.duration, verbose.language, verbose.segments, verbose.words) == (1.5, "en", None, None)
        events = [event async for event in await create(**ASKED, stream=True, **SHORT)]
        assert [event.type for event in events[-2:]] == ["transcript.text.delta", "transcript.text.done"]
        assert "".join(event.delta for event in events[:-1]).strip() == events[-1].text == done.text
        for more, words in (
            ({"response_format": "srt"}, "do not say when"),
            ({"response_format": "vtt"}, "do not say when"),
            ({"response_format": "verbose_json", "timestamp_granularities": ["word"]}, "do not say when"),
            ({"response_format": "poem"}, "must be json, text or verbose_json"),
            ({"stream": True, "response_format": "text"}, "unless response_format is json"),
            ({"extra_body": {"temperature": "warm"}}, "temperature"),
            ({"extra_body": {"max_tokens": "-7"}}, "max_tokens"),
        ):
            with pytest.raises(openai.BadRequestError, match=words):
                await create(**ASKED, **more)

    asked(hearing, body)


def test_it_is_translated(hearing: Path) -> None:
    async def body(client: Client) -> None:
        create: Any = client.audio.translations.create
        assert (await create(**ASKED, **SHORT)).text
        assert (await create(**ASKED, response_format="verbose_json", **SHORT)).language == "english"

    asked(hearing, body)


def test_sounds_of_all_kinds(hearing: Path) -> None:
    async def body(client: Client) -> None:
        for form in FORMS:
            file = ("voice", written(tone(1, rate=48_000), form, 48_000))
            done: Any = await client.audio.transcriptions.create(**{**ASKED, "file": file}, **SHORT)
            assert done.usage.output_tokens, form

    asked(hearing, body)


def test_what_cannot_be_heard_is_a_400(hearing: Path) -> None:
    async def body(client: Client) -> None:
        for file, words in (
            (b"", "no kind that is known"),
            (b"no sound at all", "no kind that is known"),
            (NOTE[1][:30], "cannot be read"),
            (written(silence(0)), "nothing in it"),
            (written(silence(1801, 8_000), "flac", 8_000), "1,800 at most"),
        ):
            with pytest.raises(openai.BadRequestError, match=words) as caught:
                await client.audio.transcriptions.create(**{**ASKED, "file": ("x.wav", file)})
            assert caught.value.param == "file"

    asked(hearing, body)


def test_a_model_that_hears_nothing_says_so(tmp_path: Path) -> None:
    for projector, words in ((None, "text only"), (llava(tmp_path / "llava.gguf", 192), "text and pictures only")):

        async def body(client: Client, words: str = words) -> None:
            for create in (client.audio.transcriptions.create, client.audio.translations.create):
                with pytest.raises(openai.BadRequestError, match=words):
                    await create(**ASKED)

        asked(projector, body)


def test_a_body_that_is_no_form_is_a_400(hearing: Path) -> None:
    async def body(ask: Ask, engine: Engine) -> None:
        await asyncio.wrap_future(engine.ready)
        for path in ("/v1/audio/transcriptions", "/audio/translations"):
            status, _headers, text = await ask("POST", path, b'{"file": "x"}')
            assert (status, "multipart/form-data" in text) == (400, True)

    with_app(demo_with(hearing), body)
