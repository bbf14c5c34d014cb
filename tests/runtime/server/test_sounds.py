"""Sounds in every dialect that has them, asked of a real model over HTTP: all say the same of the same sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.engine.engine import Engine
from support.hearing_projectors import CELLS_OF_HALF_A_MINUTE, seeing_too, ultravox
from support.pictures import base64_of, data_uri, png
from support.projectors import llava
from support.senses import Answers, asked
from support.sounds import wav

TEXT, MORE = "What is this?", "Say it in a word."
GREEDY = {"temperature": 0}


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ultravox(tmp_path_factory.mktemp("projector") / "ultravox.gguf", 192)


def openai(sound: Any, kind: str = "input_audio") -> dict[str, Any]:
    parts = [{"type": "text", "text": TEXT}, {"type": kind, kind: sound}, {"type": "text", "text": MORE}]
    return {**GREEDY, "max_tokens": 12, "messages": [{"role": "user", "content": parts}]}


def responses(sound: Any) -> dict[str, Any]:
    parts = [
        {"type": "input_text", "text": TEXT},
        {"type": "input_audio", "input_audio": sound},
        {"type": "input_text", "text": MORE},
    ]
    return {**GREEDY, "max_output_tokens": 12, "input": [{"role": "user", "content": parts}]}


def said(chat: Any) -> str:
    return str(chat["choices"][0]["message"]["content"])


def test_all_dialects_say_the_same_of_a_sound(hearing: Path) -> None:
    async def body(answers: Answers, engine: Engine) -> None:
        given = {"data": base64_of(wav()), "format": "wav"}
        status, chat = await answers("/v1/chat/completions", openai(given))
        assert status == 200, chat
        assert chat["usage"]["prompt_tokens"] > CELLS_OF_HALF_A_MINUTE
        for other in (openai({**given, "data": data_uri(wav(), "audio/wav")}),
                      openai({"url": data_uri(wav(), "audio/wav")}, "audio_url")):  # fmt: skip
            _status, again = await answers("/v1/chat/completions", other)
            assert said(again) == said(chat)
        _status, response = await answers("/v1/responses", responses(given))
        assert response["output"][0]["content"][0]["text"] == said(chat)
        _status, different = await answers("/v1/chat/completions", openai({"data": base64_of(wav(1000)), "format": ""}))
        assert said(different) != said(chat)
        assert engine.stats().counters.encoded == 2

    asked(hearing, body)


def test_ollama_s_images_may_be_sounds(hearing: Path) -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        options = {**GREEDY, "num_predict": 12}
        question = {"role": "user", "content": TEXT, "images": [base64_of(wav())]}
        _status, told = await answers("/api/chat", {"messages": [question], "stream": False, "options": options})
        parts = [{"type": "input_audio", "input_audio": {"data": base64_of(wav())}}, {"type": "text", "text": TEXT}]
        _status, chat = await answers(
            "/v1/chat/completions", {**GREEDY, "max_tokens": 12, "messages": [{"role": "user", "content": parts}]}
        )
        assert told["message"]["content"] == said(chat)
        _status, shown = await answers("/api/show", {"model": "fake"})
        assert "audio" in shown["capabilities"]
        assert "vision" not in shown["capabilities"]

    asked(hearing, body)


def test_llama_cpp_s_prompts_have_markers_for_sounds_and_pictures(tmp_path: Path) -> None:
    async def body(answers: Answers, engine: Engine) -> None:
        media = [base64_of(wav()), base64_of(png())]
        pictured = {"prompt_string": f"{TEXT}<__media__> and <__media__>{MORE}", "multimodal_data": media}
        status, told = await answers("/completion", {**GREEDY, "prompt": pictured, "n_predict": 8})
        assert (status, told["prompt"].count("<__media__>")) == (200, 2)
        assert engine.stats().counters.encoded == 2

    asked(seeing_too(tmp_path / "both.gguf", 192), body)


def test_a_model_takes_what_it_has_a_sense_for(hearing: Path, tmp_path: Path) -> None:
    sound, picture = openai({"data": base64_of(wav())}), openai({"url": data_uri(png())}, "image_url")
    for projector, question, words in (
        (None, sound, "takes text only"),
        (llava(tmp_path / "sees.gguf", 192), sound, "takes text and pictures only"),
        (hearing, picture, "takes text and sounds only"),
    ):

        async def body(
            answers: Answers, _engine: Engine, question: dict[str, Any] = question, words: str = words
        ) -> None:
            status, told = await answers("/v1/chat/completions", question)
            assert (status, words in told["error"]["message"]) == (400, True), told
            assert told["error"]["param"] == "messages[0].content[1]"
            later = [{"role": "assistant", "content": "A cat."}, {"role": "user", "content": "Sure?"}]
            earlier = {**question, "messages": [*question["messages"], *later]}
            status, rendered = await answers("/apply-template", earlier)
            word = "[audio]" if question is sound else "[image]"
            assert (status, word in rendered["prompt"]) == (200, True)
            status, _told = await answers("/v1/chat/completions", earlier)
            assert status == 200

        asked(projector, body)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"nothing", "of no kind that is known"), (png(), "of no kind"), (wav()[:20], "cannot be read"),
     (b"RIFF\x24\0\0\0WAVEfmt ", "cannot be read"), (wav(seconds=0), "nothing in it")],
)  # fmt: skip
def test_what_cannot_be_heard_is_a_400_that_names_it(hearing: Path, data: bytes, words: str) -> None:
    async def body(answers: Answers, _engine: Engine) -> None:
        status, told = await answers("/v1/chat/completions", openai({"data": base64_of(data)}))
        assert (status, words in told["error"]["message"]) == (400, True), told
        assert "Send WAV, MP3" in told["error"]["message"]

    asked(hearing, body)
