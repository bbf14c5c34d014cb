"""`/completion` of the real bundle, as scripts written for llama-server ask it."""

from __future__ import annotations

import json
from typing import Any

from bundles import Server

PROMPT = "The first man on the moon was"
GREEDY: dict[str, Any] = {"temperature": 0, "n_predict": 6}


def ask(server: Server, **fields: Any) -> Any:
    status, body = server.post("/completion", GREEDY | fields)
    assert status == 200, body
    return body


# -- several prompts ------------------------------------------------------------------------------------------


def test_several_prompts_are_answered_in_order(server: Server) -> None:
    prompts = [PROMPT, {"prompt_string": "Once upon a time"}, ["The sky is"]]
    answers = ask(server, prompt=prompts)
    assert [one["index"] for one in answers] == [0, 1, 2]
    alone = [ask(server, prompt=text) for text in (PROMPT, "Once upon a time", "The sky is")]
    assert [one["content"] for one in answers] == [one["content"] for one in alone]


def test_several_answers_to_each_of_several_prompts(server: Server) -> None:
    answers = ask(server, prompt=[PROMPT, "Once"], n_cmpl=2)
    assert [one["index"] for one in answers] == [0, 1, 2, 3]
    assert answers[0]["content"] == answers[1]["content"] != answers[2]["content"] == answers[3]["content"]


def test_a_list_of_one_prompt_is_answered_as_one(server: Server) -> None:
    assert ask(server, prompt=[PROMPT])["content"] == ask(server, prompt=PROMPT)["content"]


def test_several_prompts_in_one_stream(server: Server) -> None:
    events = [json.loads(data) for _when, data in server.stream("/completion", GREEDY | {"prompt": [PROMPT, "Once"]})]
    texts = ["".join(event["content"] for event in events if event["index"] == index) for index in (0, 1)]
    assert texts == [one["content"] for one in ask(server, prompt=[PROMPT, "Once"])]
    assert [event["index"] for event in events if event["stop"]] in ([0, 1], [1, 0])


def test_one_bad_prompt_fails_them_all(server: Server) -> None:
    status, body = server.post("/completion", {"prompt": ["fine", "word " * 30_000]})
    assert status == 400
    assert body["error"]["type"] == "exceed_context_size_error"
    assert body["error"]["n_prompt_tokens"] > body["error"]["n_ctx"] > 0
    status, body = server.post("/completion", {"prompt": ["x"] * 100, "n_cmpl": 2})
    assert status == 400
    assert "200 answers" in body["error"]["message"]
