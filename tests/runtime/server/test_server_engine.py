"""What the engine can, asked over HTTP: several answers, probabilities, schemas, vectors, states of slots."""

from __future__ import annotations

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest

from support.bundles import Server
from support.places import DATA

CHAT = "/v1/chat/completions"
PROMPT = "The first man on the moon was"
QUESTION = [{"role": "user", "content": "Who was the first man on the moon?"}]


def text_of(events: list[tuple[float, str]], index: int) -> str:
    chunks = [json.loads(data) for _when, data in events if data != "[DONE]"]
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


# -- several answers ------------------------------------------------------------------------------------------


def test_several_answers_share_their_prompt(server: Server) -> None:
    prompt = "Several answers are wanted of this one, which is a prompt of some length. " * 4
    _status, body = server.post("/completion", {"prompt": prompt, "n_cmpl": 3, "n_predict": 3, "seed": 1})
    assert [one["index"] for one in body] == [0, 1, 2]
    computed = [one["timings"]["prompt_n"] for one in body]
    assert computed[1:] == [1, 1], "the prompt was computed again"
    assert len({one["content"] for one in body}) > 1, "each has a seed of its own"


def test_several_answers_in_one_stream(server: Server) -> None:
    request = {"messages": QUESTION, "temperature": 0, "n": 2, "stream_options": {"include_usage": True}}
    events = server.stream(CHAT, request)
    assert text_of(events, 0) == text_of(events, 1) != ""
    assert events[-1][1] == "[DONE]"
    usage = json.loads(events[-2][1])["usage"]
    _status, one = server.post(CHAT, request | {"n": 1})
    assert usage["completion_tokens"] == 2 * one["usage"]["completion_tokens"]
    assert usage["prompt_tokens"] == one["usage"]["prompt_tokens"]


# -- probabilities --------------------------------------------------------------------------------------------


def test_probabilities_in_the_native_dialect(server: Server) -> None:
    request = {"prompt": PROMPT, "temperature": 0, "n_predict": 4, "n_probs": 3}
    _status, body = server.post("/completion", request)
    given = body["completion_probabilities"]
    assert len(given) == 4
    assert b"".join(bytes(one["bytes"]) for one in given).decode() == body["content"]
    for one in given:
        assert len(one["top_logprobs"]) == 3
        assert one["id"] == one["top_logprobs"][0]["id"]
        assert one["logprob"] <= 0
    streamed = [json.loads(data) for _when, data in server.stream("/completion", request)]
    assert [one for event in streamed[:-1] for one in event["completion_probabilities"]] == given
    _status, after = server.post("/completion", request | {"post_sampling_probs": True})
    assert all(0 < one["prob"] <= 1 for one in after["completion_probabilities"])
    assert "top_probs" in after["completion_probabilities"][0]


def test_probabilities_in_openai_s_dialect(server: Server) -> None:
    request = {"messages": QUESTION, "temperature": 0, "max_tokens": 3, "logprobs": True}
    _status, body = server.post(CHAT, request | {"top_logprobs": 2})
    content = body["choices"][0]["logprobs"]["content"]
    assert "".join(one["token"] for one in content) == body["choices"][0]["message"]["content"]
    assert [len(one["top_logprobs"]) for one in content] == [2, 2, 2]
    assert all(math.exp(one["logprob"]) <= 1 for one in content)
    _status, body = server.post(CHAT, request)
    assert [one["top_logprobs"] for one in body["choices"][0]["logprobs"]["content"]] == [[], [], []]


# -- what may be said -----------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {"name": {"enum": ["Ann", "Bob"]}, "age": {"type": "integer", "minimum": 18, "maximum": 99}},
    "required": ["name", "age"],
}
FORMATS: list[tuple[str, dict[str, Any]]] = [
    ("/completion", {"prompt": "x", "json_schema": SCHEMA}),
    (CHAT, {"messages": QUESTION, "json_schema": SCHEMA}),
    (CHAT, {"messages": QUESTION, "response_format": {"type": "json_object", "schema": SCHEMA}}),
    (CHAT, {"messages": QUESTION, "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}),
]


@pytest.mark.parametrize(("path", "request_"), FORMATS, ids=["native", "field", "json_object", "json_schema"])
def test_a_schema_is_kept_to(server: Server, path: str, request_: dict[str, Any]) -> None:
    for seed in range(3):
        status, body = server.post(path, request_ | {"temperature": 1.5, "seed": seed, "max_tokens": 100})
        assert status == 200, body
        text = body["content"] if path == "/completion" else body["choices"][0]["message"]["content"]
        value = json.loads(text)
        assert set(value) == {"name", "age"}
        assert value["name"] in ("Ann", "Bob")
        assert 18 <= value["age"] <= 99


def test_json_without_a_schema(server: Server) -> None:
    request = {"messages": QUESTION, "response_format": {"type": "json_object"}, "max_tokens": 300, "seed": 3}
    _status, body = server.post(CHAT, request)
    if body["choices"][0]["finish_reason"] == "stop":
        assert isinstance(json.loads(body["choices"][0]["message"]["content"]), dict)
    else:
        assert body["choices"][0]["message"]["content"].lstrip().startswith("{")


def test_a_lazy_grammar_waits_for_its_word(server: Server) -> None:
    request = {
        "prompt": PROMPT,
        "temperature": 0,
        "grammar": 'root ::= "Neil" " "? "X"{3}',
        "grammar_lazy": True,
        "grammar_triggers": [{"type": 1, "value": "Neil"}],
        "n_predict": 30,
    }
    _status, body = server.post("/completion", request)
    assert body["content"].endswith("XXX")
    assert body["stop_type"] == "eos"


def test_a_bias_forbids_words(server: Server) -> None:
    request = {"prompt": PROMPT, "temperature": 0, "n_predict": 8}
    assert "Neil" in server.post("/completion", request)[1]["content"]
    _status, body = server.post("/completion", request | {"logit_bias": {" Neil": False, "Neil": False}})
    assert "Neil" not in body["content"]


def test_a_time_limit(server: Server) -> None:
    request = {"prompt": "Once", "n_predict": 10**6, "ignore_eos": True, "t_max_predict_ms": 50}
    _status, body = server.post("/completion", request)
    assert body["stop_type"] == "limit"
    assert 50 <= body["timings"]["predicted_ms"] < 5000


# -- vectors --------------------------------------------------------------------------------------------------


def test_embeddings_in_openai_s_dialect(server: Server) -> None:
    request = {"input": ["hello", "The moon is far away."], "model": "demo"}
    status, body = server.post("/v1/embeddings", request)
    assert status == 200
    assert [one["index"] for one in body["data"]] == [0, 1]
    for one in body["data"]:
        assert math.hypot(*one["embedding"]) == pytest.approx(1, abs=1e-5)
    _status, encoded = server.post("/v1/embeddings", request | {"encoding_format": "base64"})
    data = base64.b64decode(encoded["data"][1]["embedding"])
    assert struct.unpack(f"<{len(data) // 4}f", data) == pytest.approx(body["data"][1]["embedding"], abs=1e-6)
    _status, short = server.post("/v1/embeddings", request | {"dimensions": 8})
    assert len(short["data"][0]["embedding"]) == 8
    assert math.hypot(*short["data"][0]["embedding"]) == pytest.approx(1, abs=1e-5)
    tokens = server.post("/v1/embeddings", {"input": "hello"})[1]["usage"]["prompt_tokens"]
    assert body["usage"]["prompt_tokens"] > tokens > 0


def test_embeddings_in_the_native_dialect(server: Server) -> None:
    _status, body = server.post("/embedding", {"content": ["hello", [5, 6, 7]]})
    assert [one["index"] for one in body] == [0, 1]
    assert [len(one["embedding"]) for one in body] == [1, 1]
    _status, as_it_is = server.post("/embedding", {"content": "hello", "embd_normalize": -1})
    assert math.hypot(*as_it_is["embedding"]) != pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("p", [1, 2, 3, 2**40, 2**200])
def test_vectors_have_the_norm_that_was_asked_for(server: Server, p: int) -> None:
    status, body = server.post("/embeddings", {"content": "hello", "embd_normalize": p})
    assert status == 200, body
    vector = body[0]["embedding"][0]
    norm = math.fsum(abs(value) ** p for value in vector) ** (1 / p) if p < 4 else max(map(abs, vector))
    assert norm == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embeddings", "/api/embed"])
def test_an_empty_text_has_a_vector_among_others(server: Server, path: str) -> None:
    status, body = server.post(path, {"input": ["hello", "", "there"]})
    assert status == 200, body
    listed = body if isinstance(body, list) else body.get("data") or body["embeddings"]
    assert len(listed) == 3
    assert server.post("/v1/embeddings", {"input": ""})[0] == 200
    assert server.post("/v1/embeddings", {"input": []})[0] == 400


ARMSTRONG = "The first man on the moon was Neil Armstrong, on July 20, 1969."
OTHERS = ["The capital of Norway is Oslo.", "No, Alpine uses musl, which is not supported yet."]


def test_an_embedding_model_knows_what_is_related(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "-m", str(DATA / "embedder.gguf"), cache=warm_cache) as server:
        texts = ["Who walked on the moon first?", ARMSTRONG, *OTHERS]
        status, body = server.post("/v1/embeddings", {"input": texts})
        assert status == 200, body
        question, *answers = (one["embedding"] for one in body["data"])
        likeness = [sum(a * b for a, b in zip(question, answer, strict=True)) for answer in answers]
        assert max(likeness) == likeness[0]
        status, body = server.post("/completion", {"prompt": "x"})
        assert status == 501
        assert "embeddings" in body["error"]["message"]
        assert server.post("/v1/embeddings", {"input": "word " * 2000})[0] == 400
        many = server.post("/v1/embeddings", {"input": [f"text {i}" for i in range(500)]})[1]["data"]
        assert many[7]["embedding"] == pytest.approx(
            server.post("/v1/embeddings", {"input": "text 7"})[1]["data"][0]["embedding"], abs=1e-2
        )


def test_a_reranking_model_puts_the_answer_first(demo: Path, warm_cache: Path) -> None:
    with Server(demo, "-m", str(DATA / "reranker.gguf"), cache=warm_cache) as server:
        documents = [*OTHERS, ARMSTRONG]
        request = {"query": "Who walked on the moon first?", "documents": documents}
        _status, body = server.post("/v1/rerank", request)
        assert body["results"][0]["index"] == 2
        scores = [one["relevance_score"] for one in body["results"]]
        assert scores == sorted(scores, reverse=True)
        assert len(server.post("/rerank", request | {"top_n": 1})[1]["results"]) == 1
        _status, body = server.post("/rerank", {"query": "x", "texts": documents, "return_text": True})
        assert {one["text"] for one in body} == set(documents)
        objects = [OTHERS[0], {"text": ARMSTRONG, "title": "Apollo 11"}]
        for path in ("/v2/rerank", "/v1/rerank"):
            _status, body = server.post(path, request | {"documents": objects, "return_documents": True, "top_n": 1})
            assert body["results"][0]["document"] == {"text": ARMSTRONG}
        assert server.post("/rerank", request | {"documents": [{"title": "x"}]})[0] == 400


# -- the engine's insides -------------------------------------------------------------------------------------


def test_slots_tell_what_they_hold(server: Server) -> None:
    server.post("/completion", {"prompt": PROMPT, "n_predict": 1})
    _status, slots = server.get("/slots")
    assert [slot["id"] for slot in slots] == list(range(len(slots)))
    assert any(slot["n_prompt_tokens"] for slot in slots)
    assert not any(slot["is_processing"] for slot in slots)


def test_a_slot_is_saved_and_restored(demo: Path, warm_cache: Path, tmp_path: Path) -> None:
    prompt = "A prompt that is worth keeping. " * 20
    request = {"prompt": prompt, "n_predict": 1, "temperature": 0}
    with Server(demo, "-np", "1", "--slot-save-path", str(tmp_path), cache=warm_cache) as server:
        _status, first = server.post("/completion", request)
        status, saved = server.post("/slots/0?action=save", {"filename": "one.state"})
        assert status == 200, saved
        assert saved["n_saved"] == first["tokens_evaluated"]
        for name in ("../x", "/etc/x", ".x", "", "a\nb", "x" * 300):
            assert server.post("/slots/0?action=save", {"filename": name})[0] == 400
        assert [path.name for path in tmp_path.iterdir()] == ["one.state"]
    with Server(demo, "-np", "3", "--slot-save-path", str(tmp_path), cache=warm_cache) as server:
        _status, restored = server.post("/slots/2?action=restore", {"filename": "one.state"})
        assert restored["n_restored"] == saved["n_saved"]
        _status, again = server.post("/completion", request | {"id_slot": 2})
        assert again["timings"]["cache_n"] == again["tokens_evaluated"] - 1
        assert (again["id_slot"], again["content"]) == (2, first["content"])
        assert server.post("/slots/2?action=erase", {})[1]["n_erased"] == saved["n_saved"]
        assert server.post("/completion", request)[1]["timings"]["cache_n"] == 0
        (tmp_path / "bad").write_bytes((tmp_path / "one.state").read_bytes()[:-1])
        for name in ("bad", "missing"):
            assert server.post("/slots/0?action=restore", {"filename": name})[0] == 400
        assert server.post("/completion", request)[0] == 200


def test_a_context_shift_goes_on_and_says_so(demo: Path, warm_cache: Path) -> None:
    request = {"prompt": "Once", "n_predict": 600, "ignore_eos": True, "n_keep": 4}
    with Server(demo, "-c", "256", "--context-shift", cache=warm_cache) as server:
        _status, body = server.post("/completion", request)
        assert body["tokens_predicted"] == 600
        assert body["truncated"]
    with Server(demo, "-c", "256", cache=warm_cache) as server:
        _status, body = server.post("/completion", request)
        assert body["tokens_predicted"] < 256
        assert (body["truncated"], body["stop_type"]) == (True, "limit")


def test_lookup_changes_nothing_but_the_time(demo: Path, warm_cache: Path, server: Server) -> None:
    """Texts that the model is sure of: where two words are as good as equal, any batch may decide otherwise."""
    counting = "one two three four five six seven eight nine ten " * 3
    requests = [
        {"prompt": PROMPT, "temperature": 0},
        {"prompt": f"{counting}\n", "temperature": 0, "grammar": f'root ::= "{counting}"'},
        {"prompt": PROMPT * 3, "temperature": 0, "stop": ["."], "n_predict": 12},
    ]
    accepted = 0
    with Server(demo, "--lookup", cache=warm_cache) as guessing:
        for request in requests:
            plain, guessed = (one.post("/completion", request)[1] for one in (server, guessing))
            assert guessed["content"] == plain["content"]
            accepted += guessed["timings"].get("draft_n_accepted", 0)
    assert accepted > 0, "how much is guessed depends on how long steps take; that something is does not"
