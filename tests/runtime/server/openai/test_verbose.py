"""What OpenAI's answers tell besides, as llama-server's do: `__verbose`, and how far a prompt is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.bundles import CHAT, Server

COMPLETIONS = "/v1/completions"
ASKED: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 6, "temperature": 0},
    COMPLETIONS: {"prompt": "The first man", "max_tokens": 6, "temperature": 0},
}
SAID = {CHAT: lambda choice: choice["message"]["content"], COMPLETIONS: lambda choice: choice["text"]}


def objects(server: Server, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(data) for _when, data in server.stream(path, body)[:-1]]


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_whole_answer_tells_what_completion_would(server: Server, path: str) -> None:
    quiet = server.post(path, ASKED[path])[1]
    told = server.post(path, ASKED[path] | {"verbose": True, "n": 2, "seed": 4})[1]
    assert "__verbose" not in quiet
    assert set(told) == {*quiet, "__verbose"}
    more = told["__verbose"]
    asked = {"prompt": more["prompt"], "n_predict": 6, "temperature": 0, "seed": 4, "return_tokens": True}
    native = server.post("/completion", asked)[1]
    assert set(more) == set(native)
    for field in ("content", "tokens", "tokens_evaluated", "tokens_predicted", "stop_type", "model", "prompt"):
        assert more[field] == native[field]
    assert more["generation_settings"]["seed"] == 4
    assert more["content"].startswith(SAID[path](told["choices"][0]))


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_stream_tells_it_at_its_end(server: Server, path: str) -> None:
    """In the first of the objects that end it; completions tell of each piece, too."""
    quiet = objects(server, path, ASKED[path])
    told = objects(server, path, ASKED[path] | {"verbose": True})
    assert not [one for one in quiet if "__verbose" in one]
    more = [one["__verbose"] for one in told if "__verbose" in one]
    *parts, last = more
    assert (last["stop"], last["tokens_predicted"], last["tokens"]) == (True, 6, [])
    assert last["prompt"]
    assert [part["tokens_predicted"] for part in parts] == ([] if path == CHAT else list(range(1, len(parts) + 1)))
    assert len(told) == len(quiet)


@pytest.mark.parametrize("stream", [False, True])
def test_with_the_flag_every_answer_tells_it(demo: Path, warm_cache: Path, stream: bool) -> None:
    with Server(demo, "--verbose", cache=warm_cache) as server:
        for path, body in ASKED.items():
            for wanted, is_told in (({}, True), ({"verbose": False}, False)):
                _status, answer = server.post(path, body | wanted | {"stream": stream})
                assert ("__verbose" in answer) is is_told


def test_a_stream_of_a_text_tells_how_far_its_prompt_is(server: Server) -> None:
    asked = {"prompt": "word " * 800, "max_tokens": 2, "return_progress": True, "cache_prompt": False}
    told = objects(server, COMPLETIONS, asked)
    progress = [one["prompt_progress"] for one in told if "prompt_progress" in one]
    assert progress
    assert [one["processed"] for one in progress] == sorted(one["processed"] for one in progress)
    assert progress[-1]["processed"] == progress[-1]["total"] == told[-1]["timings"]["prompt_n"]
    assert all(one["choices"][0]["text"] == "" for one in told if "prompt_progress" in one)
    assert not [
        one for one in objects(server, COMPLETIONS, asked | {"return_progress": False}) if "prompt_progress" in one
    ]
