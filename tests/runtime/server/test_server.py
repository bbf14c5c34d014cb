"""The real demo bundle, serving: what clients get on each route, alone and many at once."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path

import pytest

from support.bundles import CHAT, Server


def test_health(server: Server) -> None:
    assert server.get("/health") == (200, {"status": "ok"})


def test_models(server: Server) -> None:
    status, body = server.get("/v1/models")
    assert status == 200
    assert [model["id"] for model in body["data"]] == ["demo"]
    assert body["data"][0]["meta"]["n_ctx_train"] >= 2048


def test_completion(server: Server) -> None:
    status, body = server.post("/completion", {"prompt": "The first man on the moon was", "temperature": 0})
    assert status == 200
    assert "Neil Armstrong" in body["content"]
    assert body["stop"] is True
    assert body["stop_type"] == "eos"
    assert body["tokens_predicted"] == body["timings"]["predicted_n"] > 0


def test_a_streamed_completion_is_the_same_text(server: Server) -> None:
    request = {"prompt": "The first man on the moon was", "temperature": 0}
    events = [json.loads(data) for _when, data in server.stream("/completion", request)]
    assert all("content" in event for event in events), "Llamafile reads content of every event"
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]
    _status, whole = server.post("/completion", request)
    assert "".join(event["content"] for event in events) == whole["content"]


def test_chat(server: Server) -> None:
    question = [{"role": "user", "content": "Who was the first man on the moon?"}]
    status, body = server.post(CHAT, {"messages": question, "temperature": 0})
    assert status == 200
    choice = body["choices"][0]
    assert "Neil Armstrong" in choice["message"]["content"]
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_chat_stream_in_openai_s_form(server: Server) -> None:
    request = {
        "messages": [{"role": "user", "content": "Who was the first man on the moon?"}],
        "temperature": 0,
        "stream_options": {"include_usage": True},
    }
    data = [data for _when, data in server.stream(CHAT, request)]
    assert data[-1] == "[DONE]"
    chunks = [json.loads(one) for one in data[:-1]]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": None}
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert "Neil Armstrong" in text
    assert chunks[-2]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 0


def test_tokens_come_one_by_one(server: Server) -> None:
    """The first event is there before the last exists; those in between come together by a few milliseconds."""
    events = server.stream("/completion", {"prompt": "Once", "n_predict": 200, "ignore_eos": True})
    times = [when for when, _data in events]
    assert len(events) == 201
    assert len(set(times)) > 10


def test_a_seed_repeats_the_text(server: Server) -> None:
    request = {"prompt": "The", "seed": 42, "temperature": 1.5, "n_predict": 20}
    first = server.post("/completion", request)[1]["content"]
    assert server.post("/completion", request)[1]["content"] == first
    assert server.post("/completion", request | {"seed": 43})[1]["content"] != first


def test_a_stop_string_ends_the_text(server: Server) -> None:
    request = {"prompt": "The first man on the moon was", "temperature": 0, "stop": ["Arm"]}
    _status, body = server.post("/completion", request)
    assert body["content"].rstrip().endswith("Neil")
    assert (body["stop_type"], body["stopping_word"]) == ("word", "Arm")


GRAMMARS = [
    ('root ::= "yes" | "no"', r"yes|no"),
    ('root ::= [0-9]{3} "!"', r"\d{3}!"),
    ('root ::= "😀 漢字" [a-z]{3}', r"😀 漢字[a-z]{3}"),
    ('root ::= "{\\"name\\": \\"" [a-zA-Z ]{1,20} "\\"}"', r'\{"name": "[a-zA-Z ]{1,20}"\}'),
]


@pytest.mark.parametrize(("grammar", "pattern"), GRAMMARS, ids=[row[1] for row in GRAMMARS])
@pytest.mark.parametrize("temperature", [0, 2.0])
def test_a_grammar_is_kept_to(server: Server, grammar: str, pattern: str, temperature: float) -> None:
    request = {"prompt": "The first man", "grammar": grammar, "temperature": temperature, "n_predict": 60}
    status, body = server.post("/completion", request)
    assert status == 200, body
    assert re.fullmatch(pattern, body["content"]), body["content"]
    assert body["stop_type"] == "eos"


def test_a_prompt_s_beginning_is_computed_once(server: Server) -> None:
    request = {"prompt": "A long beginning that nobody else asks with, over and over. " * 10, "n_predict": 1}
    server.post("/completion", request)
    _status, body = server.post("/completion", request)
    assert body["timings"]["cache_n"] == body["tokens_evaluated"] - 1
    _status, body = server.post("/completion", request | {"cache_prompt": False})
    assert body["timings"]["cache_n"] == 0


def test_multibyte_text_is_never_cut(server: Server) -> None:
    """Emoji are several tokens in the demo's vocabulary; every event must be whole characters all the same."""
    prompt = "😀 é 漢字 🚀"
    request = {"prompt": prompt, "n_predict": 40, "temperature": 2.0, "seed": 7, "ignore_eos": True}
    for _when, data in server.stream("/completion", request):
        assert data.isascii(), "clients split streams at U+2028 and its like"
        json.loads(data)["content"].encode()  # no lone surrogate


def test_a_client_that_leaves_frees_its_slot(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "--parallel", "1", cache=warm_cache) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        body = {"prompt": "Once", "n_predict": 10**6, "ignore_eos": True, "stream": True}
        connection.request("POST", "/completion", json.dumps(body))
        assert connection.getresponse().readline().startswith(b"data: ")
        connection.close()
        status, _body = server.post("/completion", {"prompt": "The", "n_predict": 1})
        assert status == 200


def test_a_connection_is_kept_after_a_stream(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for _ in range(2):
        connection.request("POST", "/completion", json.dumps({"prompt": "The", "n_predict": 2, "stream": True}))
        assert connection.getresponse().read().count(b"data: ") == 3
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    connection.close()


def test_the_page_asks_nobody_else(server: Server) -> None:
    status, html = server.get("/")
    assert status == 200
    assert "<title>loaf</title>" in html
    html = html.replace("http://www.w3.org/2000/svg", "")  # the name of a language, which nobody asks
    assert "http://" not in html
    assert "https://" not in html


def test_many_clients_at_once(server: Server) -> None:
    """More than there are slots; every one is answered, and the same question has the same answer."""
    import concurrent.futures

    request = {"prompt": "The first man on the moon was", "temperature": 0, "n_predict": 12}
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: server.post("/completion", request), range(24)))
    assert {status for status, _body in answers} == {200}
    assert len({body["content"] for _status, body in answers}) == 1
