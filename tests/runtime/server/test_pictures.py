"""Pictures in every dialect, asked of a real model over HTTP: all say the same of the same picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.engine.engine import Engine
from support.pictures import base64_of, data_uri, png
from support.projectors import llava
from support.senses import Answers, asked


@pytest.fixture(scope="module")
def projector_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llava(tmp_path_factory.mktemp("projector") / "llava.gguf", 192)


TEXT, MORE = "What is this?", "Say it in a word."
GREEDY = {"temperature": 0}


def openai(picture: Any) -> dict[str, Any]:
    parts = [
        {"type": "text", "text": TEXT},
        {"type": "image_url", "image_url": picture},
        {"type": "text", "text": MORE},
    ]
    return {**GREEDY, "max_tokens": 12, "messages": [{"role": "user", "content": parts}]}


def responses(picture: str) -> dict[str, Any]:
    parts = [
        {"type": "input_text", "text": TEXT},
        {"type": "input_image", "image_url": picture, "detail": "low"},
        {"type": "input_text", "text": MORE},
    ]
    return {**GREEDY, "max_output_tokens": 12, "input": [{"role": "user", "content": parts}]}


def anthropic(picture: bytes) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": base64_of(picture)}
    parts = [{"type": "text", "text": TEXT}, {"type": "image", "source": source}, {"type": "text", "text": MORE}]
    return {**GREEDY, "max_tokens": 12, "messages": [{"role": "user", "content": parts}]}


def test_all_dialects_say_the_same_of_a_picture(projector_file: Path) -> None:
    async def body(answers: Answers, engine: Engine) -> None:
        red = png("red")
        for picture in ({"url": data_uri(red), "detail": "high"}, data_uri(red), {"url": base64_of(red)}):
            status, chat = await answers("/v1/chat/completions", openai(picture))
            assert status == 200
            said = chat["choices"][0]["message"]["content"]
            prompt_tokens = chat["usage"]["prompt_tokens"]
        _status, response = await answers("/v1/responses", responses(data_uri(red)))
        assert response["output"][0]["content"][0]["text"] == said
        assert response["usage"]["input_tokens"] == prompt_tokens
        _status, message = await answers("/v1/messages", anthropic(red))
        assert message["content"][0]["text"] == said
        _status, counted = await answers("/v1/messages/count_tokens", anthropic(red))
        assert counted["input_tokens"] == prompt_tokens
        _status, other = await answers("/v1/chat/completions", openai(data_uri(png("blue"))))
        assert other["choices"][0]["message"]["content"] != said
        assert engine.stats().counters.encoded == 2

    asked(projector_file, body)


def test_ollama_s_pictures_come_before_the_text(projector_file: Path) -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        question = {"role": "user", "content": TEXT, "images": [base64_of(png("red"))]}
        options = {**GREEDY, "num_predict": 12}
        _status, told = await answers("/api/chat", {"messages": [question], "stream": False, "options": options})
        parts = [{"type": "image_url", "image_url": data_uri(png("red"))}, {"type": "text", "text": TEXT}]
        _status, chat = await answers(
            "/v1/chat/completions", {**GREEDY, "max_tokens": 12, "messages": [{"role": "user", "content": parts}]}
        )
        assert told["message"]["content"] == chat["choices"][0]["message"]["content"]

    asked(projector_file, body)


def test_llama_cpp_s_prompts_have_markers_for_pictures(projector_file: Path) -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        pictured = {"prompt_string": f"{TEXT}<__media__>{MORE}", "multimodal_data": [base64_of(png("red"))]}
        said = []
        for _again in range(2):
            status, told = await answers("/completion", {**GREEDY, "prompt": pictured, "n_predict": 8})
            assert (status, told["prompt"].count("<__media__>")) == (200, 1)
            said.append(told["content"])
        assert said[0] == said[1]
        for wrong in (
            {"prompt_string": "none"},
            {"prompt_string": [1, 2]},
            {"prompt_string": "<__media__><__media__>"},
        ):
            status, told = await answers("/completion", {"prompt": {**pictured, **wrong}})
            assert (status, "prompt_string" in told["error"]["message"]) == (400, True), wrong
        status, told = await answers("/completion", {"prompt": {**pictured, "prompt_string": "x<__media__>"}})
        assert (status, "ends with a picture" in told["error"]["message"]) == (400, True)

    asked(projector_file, body)


def test_ollama_s_generate_takes_pictures(projector_file: Path) -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        options = {**GREEDY, "num_predict": 8}
        one = {"prompt": TEXT, "images": [base64_of(png("red"))], "stream": False, "options": options}
        status, told = await answers("/api/generate", one)
        assert status == 200
        chat = {"messages": [{"role": "user", "content": TEXT, "images": one["images"]}], "stream": False}
        _status, other = await answers("/api/chat", {**chat, "options": options})
        assert told["response"] == other["message"]["content"]
        status, _more = await answers("/api/generate", {**one, "context": told["context"]})
        assert (status, min(told["context"]) >= 0) == (200, True)

    asked(projector_file, body)


def test_what_a_tool_shows_is_seen(projector_file: Path) -> None:
    async def body(answers: Answers, engine: Engine) -> None:
        picture = {"type": "input_image", "image_url": data_uri(png("red"))}
        call = {"type": "function_call", "call_id": "c", "name": "camera", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": "c", "output": [picture]}
        status, _said = await answers(
            "/v1/responses", {"input": [{"role": "user", "content": "Look."}, call, output], "max_output_tokens": 4}
        )
        assert (status, engine.stats().counters.encoded) == (200, 1)
        source = {"type": "base64", "media_type": "image/png", "data": base64_of(png("blue"))}
        turns = [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "camera", "input": {}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "image", "source": source}]}
                ],
            },
        ]
        status, _said = await answers("/v1/messages", {"messages": turns, "max_tokens": 4})
        assert (status, engine.stats().counters.encoded) == (200, 2)

    asked(projector_file, body)


BAD = [
    ("no picture", data_uri(b"nothing"), "of no kind that is known"),
    ("heic", data_uri(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "Send JPEG, PNG"),
    ("cut off", data_uri(png()[:150]), "cannot be read"),
    ("no base64", "data:image/png;base64,!!!", "neither base64"),
    ("an address", "https://example.org/cat.png", "not fetched"),
    ("a file", "file:///etc/passwd", "not fetched"),
]


def test_what_cannot_be_seen_is_a_400_that_names_it(projector_file: Path) -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        for name, picture, words in BAD:
            status, told = await answers("/v1/chat/completions", openai(picture))
            assert (status, words in told["error"]["message"]) == (400, True), (name, told)
            assert told["error"]["param"] == "messages[0].content[1]", name
        many = openai(data_uri(png()))
        many["messages"][0]["content"] *= 33
        many["messages"][0]["content"] += many["messages"][0]["content"][:96]
        status, told = await answers("/v1/chat/completions", many)
        assert (status, "64 pictures" in told["error"]["message"]) == (400, True)

    asked(projector_file, body)


def test_a_picture_that_does_not_fit_is_an_overflow(projector_file: Path) -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        large = openai(data_uri(png()))
        large["messages"][0]["content"] *= 63
        status, told = await answers("/v1/chat/completions", large)
        assert (status, told["error"]["code"]) == (400, "context_length_exceeded")
        assert told["error"]["n_prompt_tokens"] > 63 * 16

    asked(projector_file, body)


def test_a_model_that_sees_nothing_says_so_of_what_is_asked_now() -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        bodies = {
            "/v1/chat/completions": openai(data_uri(png())),
            "/v1/responses": responses(data_uri(png())),
            "/v1/messages": anthropic(png()),
            "/api/chat": {"messages": [{"role": "user", "content": "x", "images": [base64_of(png())]}]},
        }
        for path, content in bodies.items():
            status, told = await answers(path, content)
            assert (status, "takes text only" in json.dumps(told)) == (400, True), path
        earlier = openai("https://example.org/no-picture-at-all")
        earlier["messages"] += [{"role": "assistant", "content": "A cat."}, {"role": "user", "content": "Sure?"}]
        status, rendered = await answers("/apply-template", earlier)
        assert (status, "[image]" in rendered["prompt"]) == (200, True)

    asked(None, body)
