"""Vectors of pictures, asked of a real model over HTTP, in llama-server's forms: `prompt_string`, `multimodal_data`;
and parts of a message."""

from __future__ import annotations

import asyncio
import base64
from array import array
from pathlib import Path
from typing import Any

import openai
import pytest

from runtime.engine.engine import Engine
from support.apps import with_engine_port
from support.hearing_projectors import seeing_too
from support.pictures import base64_of, data_uri, png
from support.projectors import llava
from support.senses import Answers, asked, demo_with
from support.sounds import wav

TEXT = "What is this?"
CELLS = 16


@pytest.fixture(scope="module")
def projector_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llava(tmp_path_factory.mktemp("projector") / "llava.gguf", 192)


def pictured(*colours: str, text: str = TEXT) -> dict[str, Any]:
    return {
        "prompt_string": "<__media__>" * len(colours) + text,
        "multimodal_data": [base64_of(png(c)) for c in colours],
    }


def shown(picture: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": picture}


def test_all_routes_have_the_same_vector_of_a_picture(projector_file: Path) -> None:
    async def body(answers: Answers, engine: Engine) -> None:
        status, told = await answers("/v1/embeddings", {"input": pictured("red")})
        assert status == 200
        (red,) = vectors_in(told)
        _status, packed = await answers("/v1/embeddings", {"input": pictured("red"), "encoding_format": "base64"})
        assert array("f", base64.b64decode(packed["data"][0]["embedding"])).tolist() == pytest.approx(red, abs=1e-6)
        for path in ("/embedding", "/embeddings"):
            for name in ("content", "input"):
                status, listed = await answers(path, {name: pictured("red")})
                assert (status, listed[0]["embedding"]) == (200, [pytest.approx(red, abs=1e-6)])
        _status, other = await answers("/v1/embeddings", {"input": pictured("blue")})
        _status, none = await answers("/v1/embeddings", {"input": TEXT})
        assert red not in (vectors_in(other)[0], vectors_in(none)[0])
        _status, counted = await answers("/tokenize", {"content": TEXT, "add_special": True})
        assert told["usage"]["prompt_tokens"] - none["usage"]["prompt_tokens"] == CELLS
        assert none["usage"]["prompt_tokens"] == len(counted["tokens"])
        assert engine.stats().counters.encoded == 2, "each picture was looked at once"

    asked(projector_file, body)


def test_pictures_stand_among_texts_and_tokens(projector_file: Path) -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        given = [TEXT, pictured("red"), [5, "and text"], pictured("red", "blue", text=""), {"prompt_string": TEXT}, ""]
        _status, together = await answers("/v1/embeddings", {"input": given})
        alone = [(await answers("/v1/embeddings", {"input": [one]}))[1] for one in given]
        assert [pytest.approx(vectors_in(one)[0], abs=1e-2) for one in alone] == vectors_in(together)
        assert vectors_in(together)[0] == pytest.approx(vectors_in(together)[4], abs=1e-2)
        assert together["usage"]["total_tokens"] == sum(one["usage"]["total_tokens"] for one in alone)

    asked(projector_file, body)


BAD: list[tuple[str, Any, str]] = [
    ("fewer markers", {"prompt_string": TEXT, "multimodal_data": ["AAAA"]}, "prompt_string"),
    ("more markers", pictured("red", text="<__media__>"), "prompt_string"),
    ("markers without pictures", {"prompt_string": "<__media__>"}, "prompt_string"),
    ("markers and an empty list", {"prompt_string": "<__media__>", "multimodal_data": []}, "prompt_string"),
    ("tokens with pictures", {"prompt_string": [1, 2], "multimodal_data": ["AAAA"]}, "prompt_string"),
    ("no picture", {"prompt_string": "<__media__>", "multimodal_data": [base64_of(b"nothing")]}, "of no kind"),
    ("no base64", {"prompt_string": "<__media__>", "multimodal_data": ["!!!"]}, "neither base64"),
    ("an address", {"prompt_string": "<__media__>", "multimodal_data": ["https://example.org/a.png"]}, "not fetched"),
    ("half a picture", {"prompt_string": "<__media__>", "multimodal_data": [base64_of(png()[:150])]}, "cannot be read"),
    (
        "a sound",
        {"prompt_string": "<__media__>", "multimodal_data": [base64_of(wav())]},
        "takes text and pictures only",
    ),
    ("too many in all texts together", [pictured(*["red"] * 13)] * 5, "64 pictures"),
    ("a text that is too long with them", pictured(*["red"] * 5), "turned into one vector"),
    ("no strings", {"prompt_string": "<__media__>", "multimodal_data": [1]}, "multimodal_data"),
    ("no object", {"multimodal_data": []}, "prompt_string"),
    ("a film", {"content": [{"type": "input_video", "input_video": {"data": "AAAA"}}]}, "not 'input_video'"),
    ("an address in parts", {"content": [shown("https://example.org/a.png")]}, "not fetched"),
    ("no picture in parts", {"content": [shown(data_uri(b"nothing"))]}, "of no kind"),
    ("no parts", {"content": 5}, "content"),
]


def test_parts_of_a_message_are_the_same(projector_file: Path) -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        text = [{"type": "text", "text": "What is "}, {"type": "text", "text": "this?"}]
        parts = {"content": [shown(data_uri(png("red"))), shown({"url": data_uri(png("blue"))}), *text]}
        pairs = [(parts, pictured("red", "blue")), ({"content": text}, TEXT), ({"content": [TEXT]}, TEXT)]
        for one, other in pairs:
            status, told = await answers("/v1/embeddings", {"input": [one]})
            _status, expected = await answers("/v1/embeddings", {"input": [other]})
            assert (status, told) == (200, expected)
        wrong = [TEXT, {"content": [*text, shown("!!!")]}]
        status, told = await answers("/v1/embeddings", {"input": wrong})
        assert (status, told["error"]["message"].split(":")[0]) == (400, "input[1].content[2]")

    asked(projector_file, body)


def test_a_conversation_is_one_text_as_the_template_writes_it(projector_file: Path) -> None:
    async def body(answers: Answers, engine: Engine) -> None:
        parts = [shown(data_uri(png("red"))), {"type": "text", "text": TEXT}]
        for messages, more in (
            ([{"role": "user", "content": parts}], {}),
            ([{"role": "user", "content": TEXT}], {"add_generation_prompt": True}),
            ([{"role": "user", "content": parts}, {"role": "assistant", "content": "It"}], {}),
            ([{"role": "user", "content": parts}, {"role": "assistant", "content": "It"}],
             {"continue_final_message": True}),
        ):  # fmt: skip
            opened = {"add_generation_prompt": False, "continue_final_message": False, **more}
            _status, told = await answers("/apply-template", {"messages": messages, **opened})
            data = [base64_of(png("red"))] * told["prompt"].count("<__media__>")
            status, one = await answers("/v1/embeddings", {"messages": messages, **more})
            whole = {"prompt_string": told["prompt"], "multimodal_data": data}
            _status, other = await answers("/v1/embeddings", {"input": whole})
            assert (status, one) == (200, other), told
        assert engine.stats().counters.encoded == 1
        for wrong, words in (
            ({"messages": []}, "messages"),
            ({"messages": [{"role": "user", "content": [shown("!!!")]}]}, "messages[0].content[0]"),
            ({}, "input"),
        ):
            status, told = await answers("/v1/embeddings", wrong)
            assert (status, words in told["error"]["message"]) == (400, True), told

    asked(projector_file, body, n_ubatch=128)


def test_openai_s_client_sends_them_as_they_are(projector_file: Path) -> None:
    async def body(port: int, engine: Engine) -> None:
        await asyncio.wrap_future(engine.ready)
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none") as client:
            inputs: Any = [TEXT, pictured("red"), {"content": [shown(data_uri(png("red"))), TEXT]}]
            made = await client.embeddings.create(model="any", input=inputs)
        text, one, other = (each.embedding for each in made.data)
        assert one == other != text
        assert made.usage.prompt_tokens > 2 * CELLS

    with_engine_port(demo_with(projector_file), body)


def test_what_cannot_be_embedded_is_a_400_that_says_why(projector_file: Path) -> None:
    async def body(answers: Answers, engine: Engine) -> None:
        for name, given, words in BAD:
            for path in ("/v1/embeddings", "/embedding"):
                for one in (given, [TEXT, given]) if isinstance(given, dict) else [given]:
                    status, told = await answers(path, {"input": one})
                    assert (status, words in told["error"]["message"]) == (400, True), (name, told)
        assert engine.stats().counters.encoded == 0
        status, _told = await answers("/v1/embeddings", {"input": "a <__media__> that somebody writes about"})
        assert status == 200

    asked(projector_file, body)


def test_a_model_that_sees_nothing_says_so() -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        for path in ("/v1/embeddings", "/embedding", "/embeddings"):
            for given in (pictured("red"), [TEXT, pictured("red")]):
                status, told = await answers(path, {"input": given})
                assert (status, "takes text only" in told["error"]["message"]) == (400, True), told

    asked(None, body)


def test_sounds_have_vectors_too(tmp_path: Path) -> None:
    async def body(answers: Answers, engine: Engine) -> None:
        both = {"prompt_string": "<__media__> and <__media__>", "multimodal_data": [base64_of(png()), base64_of(wav())]}
        status, told = await answers("/v1/embeddings", {"input": both})
        assert (status, engine.stats().counters.encoded) == (200, 2), told

    asked(seeing_too(tmp_path / "both.gguf", 192), body, n_ubatch=128)


def test_a_data_uri_is_a_picture_as_elsewhere(projector_file: Path) -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        bare = {"prompt_string": "<__media__>", "multimodal_data": [base64_of(png())]}
        uri = {"prompt_string": "<__media__>", "multimodal_data": [data_uri(png())]}
        one, other = [(await answers("/v1/embeddings", {"input": given}))[1] for given in (bare, uri)]
        assert vectors_in(one) == vectors_in(other)

    asked(projector_file, body)


def vectors_in(told: dict[str, Any]) -> list[list[float]]:
    return [one["embedding"] for one in told["data"]]
