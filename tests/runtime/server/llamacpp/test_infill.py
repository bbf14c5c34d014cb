"""Filling gaps: the prompt, against the fake vocabulary where a word is its number, and a model that can do it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.facts import InfillTokens
from runtime.server.llamacpp.infill import InfillRequest, Room, infill_prompt, room_of
from support.bundles import Server
from support.fakes import FakeModel
from support.ggufs import with_metadata

MARKS = InfillTokens(prefix=901, suffix=902, middle=903)
ROOMY = Room(code=400, context=100)

PROMPTS: list[tuple[str, dict[str, Any], InfillTokens, Room, tuple[int, ...]]] = [
    ("a gap", {}, MARKS, ROOMY, (901, 1, 2, 902, 3, 4, 903)),
    ("the line that is written", {"prompt": "7 8"}, MARKS, ROOMY, (901, 1, 2, 7, 8, 902, 3, 4, 903)),
    ("a beginning of all", {}, msgspec.structs.replace(MARKS, bos=900), ROOMY, (900, 901, 1, 2, 902, 3, 4, 903)),
    ("tokens and text", {"input_prefix": [1, "2"]}, MARKS, ROOMY, (901, 1, 2, 902, 3, 4, 903)),
    ("nothing after it", {"input_suffix": ""}, MARKS, ROOMY, (901, 1, 2, 902, 903)),
    ("what is next to the gap stays", {}, MARKS, Room(code=4, context=0), (901, 1, 2, 902, 903)),
    (
        "a long prefix and a long suffix",
        {"input_prefix": "1 2 3 4 5 6 7 8", "input_suffix": "11 12 13 14"},
        MARKS,
        Room(code=8, context=0),
        (901, 3, 4, 5, 6, 7, 8, 902, 903),
    ),
    (
        "a long suffix",
        {"input_suffix": "11 12 13 14"},
        MARKS,
        Room(code=16, context=0),
        (901, 1, 2, 902, 11, 12, 903),
    ),
]


@pytest.mark.parametrize(
    ("fields", "marks", "room", "expected"), [row[1:] for row in PROMPTS], ids=[row[0] for row in PROMPTS]
)
def test_the_prompt(fields: dict[str, Any], marks: InfillTokens, room: Room, expected: tuple[int, ...]) -> None:
    body = msgspec.convert({"input_prefix": "1 2", "input_suffix": "3 4"} | fields, InfillRequest)
    assert infill_prompt(body, FakeModel(), marks, room) == expected


@given(n_ctx=st.integers(64, 10**6), n_batch=st.integers(1, 10**4), n_predict=st.integers(-1, 10**9))
def test_there_is_room_for_the_middle(n_ctx: int, n_batch: int, n_predict: int) -> None:
    room = room_of(n_ctx, n_batch, n_predict)
    assert room.code >= 0
    assert room.context >= 0
    assert room.code + room.context <= 3 * n_ctx / 4 + 1


# -- a model that can -----------------------------------------------------------------------------------------

TOKENS = {"fim_pre": 10, "fim_suf": 11, "fim_mid": 12, "fim_rep": 13, "fim_sep": 14}
"""The demo's vocabulary has none; any five will do."""


@pytest.fixture(scope="module")
def coder(demo: Path, warm_cache: Path, demo_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo with marks of gaps, and everything switched that tests ask about: slots and metrics off, props on."""
    weights = with_metadata(
        demo_gguf,
        tmp_path_factory.mktemp("coder") / "coder.gguf",
        {f"tokenizer.ggml.{name}_token_id": token for name, token in TOKENS.items()},
    )
    flags = ("-m", str(weights), "--no-slots", "--no-metrics", "--props")
    with Server(demo, *flags, cache=warm_cache) as server:
        yield server


GAP = {"input_prefix": "The first man on the", "input_suffix": " was Neil", "temperature": 0, "n_predict": 3}


def test_a_gap_is_filled(coder: Server) -> None:
    pieces = {name: coder.post("/detokenize", {"tokens": [token]})[1]["content"] for name, token in TOKENS.items()}
    files = [{"filename": "a.py", "text": "x = 1\n"}, {"text": "y"}]
    status, body = coder.post("/infill", GAP | {"input_extra": files, "prompt": " mo"})
    assert status == 200, body
    context = "{fim_rep}myproject\n{fim_sep}a.py\nx = 1\n{fim_sep}tmp\ny{fim_sep}filename\n"
    gap = "{fim_pre}The first man on the mo{fim_suf} was Neil{fim_mid}"
    assert body["prompt"] == (context + gap).format_map(pieces)
    assert body["tokens_predicted"] == 3
    events = [json.loads(data) for _when, data in coder.stream("/infill", GAP)]
    assert events[-1]["stop"] is True


@pytest.mark.parametrize("stream", [False, True])
def test_openai_s_suffix_is_a_gap_too(coder: Server, stream: bool) -> None:
    """The same as /infill's, with nothing of a repository before it; echoed is what was sent."""
    asked = {"prompt": "The first man on the", "suffix": " was Neil", "temperature": 0, "max_tokens": 3}
    marks = [
        coder.post("/detokenize", {"tokens": [TOKENS[name]]})[1]["content"]
        for name in ("fim_pre", "fim_suf", "fim_mid")
    ]
    text = "{}The first man on the{} was Neil{}".format(*marks)
    plain = coder.post("/completion", {"prompt": text, "temperature": 0, "n_predict": 3})[1]
    if stream:
        events = [json.loads(data) for _when, data in coder.stream("/v1/completions", asked)[:-1]]
        assert "".join(event["choices"][0]["text"] for event in events) == plain["content"]
        return
    status, body = coder.post("/v1/completions", asked | {"echo": True})
    assert status == 200, body
    assert body["choices"][0]["text"] == "The first man on the" + plain["content"]


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("nothing before it", {"input_prefix": None}, "input_prefix"),
    ("a suffix of a wrong type", {"input_suffix": 5}, "input_suffix"),
    ("a prompt of a wrong type", {"prompt": ["x"]}, "prompt"),
    ("context of a wrong type", {"input_extra": "x"}, "input_extra"),
    ("context without text", {"input_extra": [{"filename": "a"}]}, "text"),
    ("no such token", {"input_prefix": [10**6]}, "input_prefix"),
    ("a limit below nothing", {"n_predict": -5}, "n_predict"),
]


@pytest.mark.parametrize(("fields", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_requests_name_what_is_wrong(coder: Server, fields: dict[str, Any], says: str) -> None:
    status, body = coder.post("/infill", GAP | fields)
    assert status == 400, body
    assert says in body["error"]["message"]


def test_code_of_any_length_is_taken(coder: Server) -> None:
    long = "a line of code\n" * 5000
    extra = [{"text": long}]
    status, body = coder.post("/infill", GAP | {"input_prefix": long, "input_suffix": long, "input_extra": extra})
    assert status == 200, body
    assert body["tokens_evaluated"] < coder.get("/props")[1]["default_generation_settings"]["n_ctx"]


def test_a_model_that_cannot_says_so(server: Server) -> None:
    status, body = server.post("/infill", GAP)
    assert status == 501
    assert body["error"]["type"] == "not_supported_error"


# -- what the server was told not to tell ---------------------------------------------------------------------


def test_what_is_switched_off(coder: Server) -> None:
    for path, flag in (("/slots", "--slots"), ("/metrics", "--metrics")):
        status, body = coder.get(path)
        assert (status, body["error"]["type"]) == (501, "not_supported_error")
        assert flag in body["error"]["message"]
    props = coder.get("/props")[1]
    assert (props["endpoint_slots"], props["endpoint_metrics"], props["endpoint_props"]) == (False, False, True)
    assert coder.post("/props", {}) == (200, {"success": True})
