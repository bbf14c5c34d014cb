"""What the real bundle tells of itself to llama-server's clients: properties, slots, metrics, and the page."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.engine.stats import Counters, EngineStats
from runtime.server.llamacpp.metrics import ModelStats, metrics_text
from support.bundles import Server

PROMPT = "The first man on the moon was"


def test_props(server: Server) -> None:
    status, props = server.get("/props")
    assert status == 200
    assert props["model_path"].endswith(".gguf")
    assert props["model_alias"] == "demo"
    assert props["total_slots"] == len(server.get("/slots")[1])
    assert props["modalities"] == {"vision": False, "video": False, "audio": False}
    assert "<|im_start|>" in props["chat_template"]
    assert props["chat_template_caps"]["supports_tools"] is True
    assert props["eos_token"] == "<|im_end|>"
    assert props["is_sleeping"] is False
    defaults = props["default_generation_settings"]
    assert defaults["n_ctx"] >= 2048
    assert (defaults["params"]["temperature"], defaults["params"]["n_predict"]) == (0.8, -1)
    told = server.post("/completion", {"prompt": PROMPT, "n_predict": 1})[1]["generation_settings"]
    assert set(defaults["params"]) <= set(told)


def test_props_do_not_change(server: Server) -> None:
    status, body = server.post("/props", {"temperature": 5})
    assert (status, body["error"]["type"]) == (501, "not_supported_error")
    assert "--props" in body["error"]["message"]


def test_a_slot_that_is_busy(server: Server) -> None:
    """Every slot tells the same things, and the one that runs what runs there."""
    request = {"prompt": PROMPT, "stream": True, "n_predict": -1, "ignore_eos": True, "seed": 5, "top_k": 7}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/completion", json.dumps(request))
    response = connection.getresponse()
    assert response.readline().startswith(b"data: ")
    _status, slots = server.get("/slots")
    connection.close()
    assert len({frozenset(slot) for slot in slots}) == 1
    (busy,) = [slot for slot in slots if slot["is_processing"]]
    assert busy["id_task"] >= 0
    assert (busy["params"]["seed"], busy["params"]["top_k"], busy["params"]["n_predict"]) == (5, 7, -1)
    assert busy["next_token"][0]["n_decoded"] >= 1
    assert busy["next_token"][0]["n_remain"] == -1
    assert busy["n_prompt_tokens_processed"] + busy["n_prompt_tokens_cache"] > 0
    idle = next(slot for slot in slots if not slot["is_processing"])
    assert (idle["id_task"], idle["next_token"][0]["n_decoded"]) == (-1, 0)


def test_a_request_runs_in_the_slot_that_it_names(server: Server) -> None:
    n_slots = len(server.get("/slots")[1])
    for wanted in (3, 1, n_slots + 2):  # which begins anew at the first, as in llama-server
        _status, body = server.post("/completion", {"prompt": PROMPT, "n_predict": 1, "id_slot": wanted})
        assert body["id_slot"] == wanted % n_slots
    several = {"prompt": [PROMPT, "x"], "n_predict": 1, "id_slot": 2, "n_cmpl": 2, "seed": 1}
    _status, answers = server.post("/completion", several)
    assert [one["id_slot"] for one in answers[::2]] == [2, 2]
    assert server.post("/completion", {"prompt": PROMPT, "n_predict": 1, "id_slot": -1})[0] == 200
    chat = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 1, "id_slot": 3}
    assert server.post("/slots/3?action=erase", {})[0] == 200
    assert server.post("/v1/chat/completions", chat)[0] == 200
    assert server.get("/slots")[1][3]["n_prompt_tokens"] > 0


def test_a_client_that_wants_a_free_slot(server: Server) -> None:
    assert server.get("/slots?fail_on_no_slot=1")[0] == 200


BAD_SLOTS: list[tuple[str, str, int, str]] = [
    ("no number", "/slots/first?action=erase", 400, "number"),
    ("a number of no size", f"/slots/{10**30}?action=erase", 400, "number"),
    ("no such slot", "/slots/999?action=erase", 404, "999"),
    ("no action", "/slots/0", 400, "action"),
]


@pytest.mark.parametrize(("path", "status", "says"), [row[1:] for row in BAD_SLOTS], ids=[row[0] for row in BAD_SLOTS])
def test_bad_slots(server: Server, path: str, status: int, says: str) -> None:
    got, body = server.post(path, {})
    assert got == status, body
    assert says in body["error"]["message"]


@pytest.mark.parametrize(
    ("action", "name", "status", "says"),
    [
        ("load", "demo", 400, "already running"),
        ("unload", "demo", 403, "cannot unload demo"),
        ("load", "other", 404, "other"),
        ("unload", "other", 404, "other"),
    ],
)
def test_models_stay_as_they_are(server: Server, action: str, name: str, status: int, says: str) -> None:
    got, body = server.post(f"/models/{action}", {"model": name})
    assert (got, says in body["error"]["message"]) == (status, True), body


# -- metrics --------------------------------------------------------------------------------------------------


def samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """By name, as Prometheus reads them: labels and values."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_metrics_count_what_was_asked(server: Server) -> None:
    before = samples(server.get("/metrics")[1])
    _status, body = server.post("/completion", {"prompt": PROMPT, "n_predict": 5, "temperature": 0})
    server.post("/embedding", {"content": "one text"})
    after = samples(server.get("/metrics")[1])

    def grown(name: str) -> float:
        return after[name][0][1] - before[name][0][1]

    assert grown("llamacpp:tokens_predicted_total") == 5
    assert grown("llamacpp:prompt_tokens_total") == body["timings"]["prompt_n"]
    assert grown("llamacpp:prompt_tokens_cached_total") == body["timings"]["cache_n"]
    assert grown("loaf_requests_total") == 1
    assert grown("loaf_embedded_texts_total") == 1
    assert grown("llamacpp:n_decode_total") >= 5
    assert after["llamacpp:requests_processing"] == [({}, 0)]
    assert after["llamacpp:prompt_tokens_seconds"][0][1] > 0


def test_metrics_are_text(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert int(response.headers["Process-Start-Time-Unix"]) > 1_600_000_000
    connection.close()


def test_metrics_of_several_models_have_their_names() -> None:
    counters = Counters(generated_tokens=3)
    stats = EngineStats(counters, n_threads=1, running=0, deferred=0, cells=10, cells_used=0, slots=())
    told = samples(metrics_text([ModelStats("chat", stats), ModelStats('em"bed', stats)]))
    assert told["llamacpp:tokens_predicted_total"] == [({"model": "chat"}, 3), ({"model": 'em"bed'}, 3)]


def test_metrics_have_llama_server_s_types() -> None:
    """As of its `to_metrics`: one of its counters does not say so in its name; another has a label of its own."""
    counters = Counters(most_tokens=7)
    for accepted in (2, 0, 1):
        counters.count_guesses(accepted)
    stats = EngineStats(counters, n_threads=1, running=1, deferred=2, cells=10, cells_used=0, slots=())
    text = metrics_text([ModelStats("demo", stats)])
    assert "# TYPE llamacpp:n_tokens_max counter\nllamacpp:n_tokens_max 7\n" in text
    assert "# TYPE llamacpp:requests_deferred gauge\nllamacpp:requests_deferred 2\n" in text
    told = samples(text)
    assert told["llamacpp:spec_decode_num_drafts_total"] == [({}, 3)]
    at = told["llamacpp:spec_decode_num_accepted_tokens_per_pos_total"]
    assert at == [({"position": "0"}, 2), ({"position": "1"}, 1)]


# -- and the rest ---------------------------------------------------------------------------------------------


def test_health(server: Server) -> None:
    assert server.get("/v1/health") == server.get("/health") == (200, {"status": "ok"})


def test_the_page_says_what_ollama_s_clients_look_for(server: Server) -> None:
    status, page = server.get("/")
    assert status == 200
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "Ollama is running" in page
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("HEAD", "/")
    assert connection.getresponse().status == 200
    connection.close()


EMBEDDINGS: list[tuple[str, str, Any, bool]] = [
    ("a text", "/embedding", {"content": "hello"}, True),
    ("a list of one", "/embedding", {"content": ["hello"]}, False),
    ("the other route", "/embeddings", {"content": "hello"}, False),
    ("OpenAI's name for it", "/embedding", {"input": "hello"}, False),
]


@pytest.mark.parametrize(
    ("path", "body", "is_flat"), [row[1:] for row in EMBEDDINGS], ids=[row[0] for row in EMBEDDINGS]
)
def test_the_shapes_of_vectors(server: Server, path: str, body: Any, is_flat: bool) -> None:
    """llamafile's for one text, which its clients need, else llama-server's."""
    status, answer = server.post(path, body)
    assert status == 200
    if not is_flat:
        assert [one["index"] for one in answer] == [0]
        (vector,) = answer[0]["embedding"]
    else:
        assert set(answer) == {"embedding"}
        vector = answer["embedding"]
    assert all(isinstance(value, float) for value in vector)
