"""`/completion` of the real bundle, as scripts written for llama-server ask it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.bundles import Server

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


# -- details of an answer -------------------------------------------------------------------------------------


def test_the_tokens_of_an_answer(server: Server) -> None:
    assert ask(server, prompt=PROMPT)["tokens"] == []
    whole = ask(server, prompt=PROMPT, return_tokens=True)
    assert len(whole["tokens"]) == whole["tokens_predicted"] == 6
    assert server.post("/detokenize", {"tokens": whole["tokens"]})[1]["content"] == whole["content"]


def test_what_the_prompt_was(server: Server) -> None:
    tokens = server.post("/tokenize", {"content": PROMPT})[1]["tokens"]
    assert ask(server, prompt=tokens)["prompt"] == PROMPT
    both = ask(server, prompt=[*tokens, "<|im_end|>"])
    assert both["prompt"] == PROMPT + "<|im_end|>"
    assert both["tokens_evaluated"] == len(tokens) + 1


def test_counts_on_the_way(server: Server) -> None:
    events = streamed(server, prompt=PROMPT, timings_per_token=True)
    assert [event["tokens_predicted"] for event in events] == [1, 2, 3, 4, 5, 6, 6]
    assert [event["timings"]["predicted_n"] for event in events] == [1, 2, 3, 4, 5, 6, 6]
    assert len({event["tokens_evaluated"] for event in events}) == 1
    assert all("timings" not in event for event in streamed(server, prompt=PROMPT)[:-1])
    assert events[-1]["tokens_cached"] == events[-1]["tokens_evaluated"] + 5, "the last token was never computed"


def test_progress_of_a_prompt(server: Server) -> None:
    prompt = "A prompt that is told of while it is computed, and that takes its time. " * 40
    events = streamed(server, prompt=prompt, return_progress=True, cache_prompt=False)
    progress = [event["prompt_progress"] for event in events if "prompt_progress" in event]
    total = events[-1]["tokens_evaluated"]
    assert [one["total"] for one in progress] == [total] * len(progress)
    assert progress[0]["processed"] == progress[0]["cache"] == 0
    assert progress[-1]["processed"] == total
    assert [event["content"] for event in events if "prompt_progress" in event] == [""] * len(progress)
    again = streamed(server, prompt=prompt, return_progress=True)
    assert again[0]["prompt_progress"]["cache"] == again[0]["prompt_progress"]["processed"] == total - 1


def test_only_the_fields_that_are_asked_for(server: Server) -> None:
    fields = ["content", "generation_settings/n_predict", "timings/nothing", "content/more", "nothing"]
    assert ask(server, prompt=PROMPT, response_fields=fields) == {
        "content": ask(server, prompt=PROMPT)["content"],
        "generation_settings/n_predict": 6,
    }
    assert streamed(server, prompt=PROMPT, response_fields=["stop"])[-1] == {"stop": True}
    assert "timings" in ask(server, prompt=PROMPT, response_fields=[])


def test_lines_that_leave_the_block_end_it(server: Server) -> None:
    grammar = r'root ::= "a\n    b\n  c"'
    answer = ask(server, prompt="def f():\n    ", grammar=grammar, n_indent=4, n_predict=50)
    assert answer["content"] == "a\n    b\n  "
    assert answer["stop_type"] == "limit"
    assert answer["has_new_line"] is True
    events = streamed(server, prompt="def f():\n    ", grammar=grammar, n_indent=4, n_predict=50)
    assert "".join(event["content"] for event in events) == "a\n    b\n  "
    assert ask(server, prompt=PROMPT)["has_new_line"] is False


def test_settings_are_told_as_they_were_used(server: Server) -> None:
    request = {"seed": -1, "top_p": 7, "top_k": -5, "min_p": -1, "mirostat": 9, "samplers": "kpt", "stop": ["Q"]}
    settings = ask(server, prompt=PROMPT, **request, logit_bias=[[5, False]])["generation_settings"]
    clamped = {"seed": 4294967295, "top_p": 1, "top_k": 0, "min_p": 0, "mirostat": 2}
    assert {name: settings[name] for name in clamped} == clamped
    assert settings["samplers"] == ["top_k", "top_p", "temperature"]
    assert settings["stop"] == ["Q"]
    assert settings["logit_bias"] == [{"token": 5, "bias": None}]
    assert settings["n_predict"] == settings["max_tokens"] == 6
    endless = ask(server, prompt=PROMPT, ignore_eos=True, logit_bias=[[5, 1]])["generation_settings"]
    first, *ends = endless["logit_bias"]
    assert first == {"token": 5, "bias": 1}
    eos = server.post("/tokenize", {"content": server.get("/props")[1]["eos_token"]})[1]["tokens"]
    assert {"token": eos[-1], "bias": None} in ends


def test_other_names_for_a_limit(server: Server) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        status, body = server.post("/completion", {"prompt": PROMPT, "temperature": 0, name: 2})
        assert (status, body["tokens_predicted"]) == (200, 2)
    assert len(ask(server, prompt=PROMPT, logprobs=2)["completion_probabilities"][0]["top_logprobs"]) == 2


def test_an_answer_that_fills_the_context(server: Server) -> None:
    n_ctx = server.get("/props")[1]["default_generation_settings"]["n_ctx"]
    tokens = [5] * (n_ctx - 3)
    answer = ask(server, prompt=tokens, n_predict=-1, ignore_eos=True)
    assert (answer["truncated"], answer["stop_type"]) == (True, "limit")
    assert answer["tokens_evaluated"] + answer["tokens_predicted"] == n_ctx
    status, body = server.post("/completion", {"prompt": [5] * n_ctx})
    assert status == 400
    assert body["error"]["type"] == "exceed_context_size_error"
    assert (body["error"]["n_prompt_tokens"], body["error"]["n_ctx"]) == (n_ctx, n_ctx)
    status, streamed_body = server.post("/completion", {"prompt": [5] * n_ctx, "stream": True})
    assert (status, streamed_body) == (400, body), "a stream that cannot begin is answered plainly"


def test_the_body_that_langchain_s_llamafile_sends(server: Server) -> None:
    body: dict[str, Any] = {
        "prompt": PROMPT,
        "temperature": 0.8,
        "seed": -1,
        "top_k": 40,
        "top_p": 0.95,
        "min_p": 0.05,
        "n_predict": -1,
        "n_keep": 0,
        "tfs_z": 1.0,
        "typical_p": 1.0,
        "repeat_penalty": 1.1,
        "repeat_last_n": 64,
        "penalize_nl": True,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "mirostat": 0,
        "mirostat_tau": 5.0,
        "mirostat_eta": 0.1,
    }
    status, whole = server.post("/completion", body)
    assert (status, whole["stop"]) == (200, True)
    events = [json.loads(data) for _when, data in server.stream("/completion", body)]
    assert all(isinstance(event["content"], str) for event in events)


def streamed(server: Server, **fields: Any) -> list[Any]:
    return [json.loads(data) for _when, data in server.stream("/completion", GREEDY | fields)]


# -- bad input ------------------------------------------------------------------------------------------------

BAD: list[tuple[str, Any, str]] = [
    ("no prompt", {}, "prompt"),
    ("a prompt of nothing", {"prompt": None}, "prompt"),
    ("a list of nothing", {"prompt": []}, "prompt"),
    ("an empty prompt among others", {"prompt": ["x", ""]}, "empty"),
    ("numbers and lists", {"prompt": [1, [2]]}, "prompt"),
    ("a number that no token is", {"prompt": [2**70]}, "prompt"),
    ("half a token", {"prompt": [1.5]}, "prompt"),
    ("a picture", {"prompt": {"prompt_string": "x", "multimodal_data": ["AA"]}}, "multimodal_data"),
    ("an object without a prompt", {"prompt": {"text": "x"}}, "prompt_string"),
    ("more prompts than answers can be had", {"prompt": ["x"] * 1000}, "prompt"),
    ("an indent below nothing", {"prompt": "x", "n_indent": -1}, "n_indent"),
    ("an indent without end", {"prompt": "x", "n_indent": 10**12}, "n_indent"),
    ("fields that are no text", {"prompt": "x", "response_fields": [1]}, "response_fields"),
    ("fields without end", {"prompt": "x", "response_fields": ["a"] * 10_000}, "response_fields"),
    ("a path without end", {"prompt": "x", "response_fields": ["a/" * 100_000]}, "response_fields"),
    ("no such wish", {"prompt": "x", "return_progress": "yes"}, "return_progress"),
    ("a slot that is no number", {"prompt": "x", "id_slot": "first"}, "id_slot"),
    ("probabilities below nothing", {"prompt": "x", "logprobs": -1}, "n_probs"),
    ("samplers without end", {"prompt": "x", "samplers": "k" * 100}, "samplers"),
]


@pytest.mark.parametrize(("body", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_requests_name_what_is_wrong(server: Server, body: Any, says: str) -> None:
    for path in ("/completion", "/completions"):
        status, answer = server.post(path, body)
        assert status == 400, answer
        assert answer["error"]["type"] == "invalid_request_error"
        assert says in answer["error"]["message"]


def test_odd_text_is_text(server: Server) -> None:
    """NUL, lone halves of characters and what clients take for line ends."""
    for text in ("a\x00b", "\u2028\u0085\ufeff", "\U0010ffff", "e\u0301" * 50):
        assert ask(server, prompt=text)["prompt"] == text
    status, body = server.post("/completion", b'{"prompt": "\\ud800", "n_predict": 1}')
    assert (status, body["prompt"]) == (200, "\ufffd")
