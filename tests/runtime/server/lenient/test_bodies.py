"""One policy for what is nearly of a field's type, as tables over types, and over the dialects of a real server."""

from __future__ import annotations

import json
from typing import Any, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.server.app import DIALECTS
from runtime.server.lenient.bodies import decode_leniently
from runtime.server.lenient.efforts import effort, is_no_effort
from runtime.server.lenient.numbers import NumbersInText
from support.bundles import Server
from support.rich_requests import RICH


class Part(msgspec.Struct, tag="part"):
    text: str = ""


class Other(msgspec.Struct, tag="other"):
    count: int = 0


class Options(NumbersInText):
    whole: int | None = None
    any: int | float | None = None
    text: str | None = None


class Body(msgspec.Struct):
    whole: int = 7
    real: float = 0.5
    text: str = "x"
    maybe: int | None = None
    either: str | int | None = None
    switch: bool = False
    texts: list[str] = []
    map: dict[str, int] = {}
    parts: list[Part | Other] = []
    pairs: list[tuple[int | str, float | bool]] = []
    inner: Options | None = None
    anything: Any = None


def fields_of(body: bytes) -> dict[str, Any]:
    """What a body says, where it is not what is said without it."""
    plain, said = (msgspec.structs.asdict(one) for one in (Body(), decode_leniently(body, Body)))
    return {name: value for name, value in said.items() if value != plain[name]}


TAKEN: list[tuple[str, bytes, dict[str, Any]]] = [
    ("null for a number", b'{"whole": null}', {}),
    ("null for a list", b'{"texts": null, "map": null, "parts": null}', {}),
    ("null in a list", b'{"texts": ["a", null]}', {"texts": ["a"]}),
    ("null in an object", b'{"map": {"a": null, "b": 1}}', {"map": {"b": 1}}),
    ("null in a structure", b'{"parts": [null, {"type": "part", "text": null}]}', {"parts": [Part()]}),
    ("null where anything may be", b'{"whole": 1.0, "anything": [null]}', {"whole": 1, "anything": [None]}),
    ("a whole float", b'{"whole": 16.0, "maybe": 1e3, "either": -2.0}', {"whole": 16, "maybe": 1000, "either": -2}),
    ("an integer for a float", b'{"whole": 1.0, "real": 3}', {"whole": 1, "real": 3.0}),
    ("whole floats deep inside", b'{"parts": [{"type": "other", "count": 2.0}]}', {"parts": [Other(2)]}),
    ("whole floats in a tuple", b'{"pairs": [[5.0, 1], ["a", false]]}', {"pairs": [(5, 1.0), ("a", False)]}),
    ("PHP's empty object", b'{"map": [], "inner": []}', {"inner": Options()}),
    ("PHP's empty body", b"[]", {}),
    ("an empty list that is one", b'{"whole": null, "texts": []}', {}),
    ("numbers in text", b'{"inner": {"whole": "42", "any": " 0.5 "}}', {"inner": Options(42, 0.5)}),
    ("text that is text", b'{"inner": {"whole": "3.0", "text": "42"}}', {"inner": Options(3, text="42")}),
    ("half a pair", b'{"text": "a\\ud83d", "anything": {"\\udc00": 1}}', {"text": "a�", "anything": {"�": 1}}),
    ("a whole pair", b'{"whole": null, "text": "\\ud83d\\ude00"}', {"text": "😀"}),
    ("half a pair as bytes", b'{"text": "a\xed\xa0\x80b"}', {"text": "a�b"}),
    ("an escaped backslash", b'{"whole": null, "text": "\\\\ud800"}', {"text": "\\ud800"}),
    ("a byte order mark", b'\xef\xbb\xbf{"whole": 3}', {"whole": 3}),
    ("unknown fields", b'{"whole": null, "what": {"is": [null, 1.5]}}', {}),
]


@pytest.mark.parametrize(("body", "expected"), [row[1:] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_what_is_taken(body: bytes, expected: dict[str, Any]) -> None:
    assert fields_of(body) == expected


REFUSED: list[tuple[str, bytes, str]] = [
    ("a fraction", b'{"whole": 16.5}', "$.whole"),
    ("a number beyond all", b'{"whole": 1e300}', "$.whole"),
    ("a number in text", b'{"whole": "16"}', "$.whole"),
    ("no number in text", b'{"inner": {"whole": "many"}}', "$.inner.whole"),
    ("a fraction in text", b'{"inner": {"whole": "1.5"}}', "$.inner.whole"),
    ("a number for text", b'{"text": 5}', "$.text"),
    ("text for a switch", b'{"switch": "yes"}', "$.switch"),
    ("a list with something in it", b'{"map": [1]}', "$.map"),
    ("an object for a list", b'{"texts": {}}', "$.texts"),
    ("a tag nobody knows", b'{"parts": [{"type": "what"}]}', "$.parts[0]"),
    ("no number", b'{"whole": NaN}', "NaN"),
    ("a number without end", b'{"real": 1e999}', "1e999"),
    ("bytes that are no text", b'{"text": "\xff"}', "utf-8"),
    ("nothing", b"", "Expecting"),
    ("null", b"null", "object"),
    ("nesting without end", b"[" * 100_000, "recursion"),
    ("digits without end", b'{"whole": ' + b"9" * 10_000 + b"}", "digits"),
]


@pytest.mark.parametrize(("body", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_stays_refused(body: bytes, says: str) -> None:
    with pytest.raises(
        (ValueError, RecursionError, msgspec.ValidationError), match=says.replace("$", r"\$").replace("[", r"\[")
    ):
        decode_leniently(body, Body)


BODIES = [route.body for dialect in DIALECTS for route in dialect.routes if route.body is not None]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.sampled_from(BODIES), JSON)
def test_anything_is_a_body_or_a_refusal(type_: Any, value: Any) -> None:
    try:
        found = decode_leniently(json.dumps(value).encode(), type_)
    except (ValueError, RecursionError, msgspec.ValidationError):
        return
    assert isinstance(found, (get_origin(type_) or type_, list))


@given(st.sampled_from(RICH))
def test_what_is_right_already_means_the_same(asked: tuple[str, Any]) -> None:
    path, body = asked
    (type_,) = {
        route.body for dialect in DIALECTS for route in dialect.routes if path in route.paths and route.method == "POST"
    }
    data = json.dumps(body).encode()
    assert decode_leniently(data, type_) == msgspec.json.decode(data, type=type_)


EFFORTS: list[tuple[str | None, str | None]] = [
    (None, None), ("none", None), ("off", None), ("disabled", None),
    ("minimal", "low"), ("low", "low"), ("Light", "low"), ("medium", "medium"), ("auto", "medium"), ("some", "medium"),
    ("high", "high"), ("xhigh", "high"), ("max", "high"), ("Ultra", "high"), ("extra-high", "high"), ("harder", "high"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "level"), EFFORTS)
def test_a_word_for_an_effort_is_the_nearest_one(word: str | None, level: str | None) -> None:
    assert effort(word) == level
    assert is_no_effort(word) is (level is None and word is not None)


# -- the same, asked of a server --------------------------------------------------------------------------------

USER = [{"role": "user", "content": "hi"}]
OLLAMA = {"stream": False, "options": {"num_predict": 1}}
HALF = b'{"messages": [{"role": "user", "content": "a\\ud83d"}], "max_tokens": 1}'
MARKED = b'\xef\xbb\xbf{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}'

DIALECTS_TAKE: list[tuple[str, str, Any]] = [
    ("whole floats", "/completion", {"prompt": "x", "n_predict": 1.0, "top_k": 40.0, "seed": 42.0}),
    ("whole floats", "/v1/chat/completions", {"messages": USER, "max_tokens": 1.0, "n": 1.0}),
    ("whole floats", "/v1/completions", {"prompt": [1.0, 2.0], "max_tokens": 1.0}),
    ("whole floats", "/v1/responses", {"input": "x", "max_output_tokens": 1.0}),
    ("whole floats", "/v1/messages", {"messages": USER, "max_tokens": 1.0, "top_k": 5.0}),
    ("null", "/completion", {"prompt": "x", "n_predict": 1, "stop": ["END", None], "lora": None}),
    ("null", "/v1/chat/completions", {"messages": USER, "max_tokens": 1, "tools": [None], "response_format": None}),
    ("null", "/v1/responses", {"input": "x", "max_output_tokens": 1, "tools": [None], "text": None}),
    ("null", "/v1/messages", {"messages": [None, *USER], "max_tokens": 1, "stop_sequences": [None], "tools": [None]}),
    ("null", "/api/chat", {"messages": USER, "options": {"num_predict": 1, "stop": [None]}, "stream": False}),
    ("PHP's objects", "/v1/chat/completions", {"messages": USER, "max_tokens": 1, "stream_options": []}),
    ("PHP's objects", "/completion", {"prompt": "x", "n_predict": 1, "json_schema": {"properties": []}}),
    ("PHP's objects", "/v1/responses", {"input": "x", "max_output_tokens": 1, "metadata": [], "text": []}),
    ("PHP's objects", "/v1/messages", {"messages": USER, "max_tokens": 1, "output_config": []}),
    ("PHP's objects", "/api/generate", {"prompt": "x", "options": [], "stream": False}),
    ("numbers in text", "/api/generate", {"prompt": "x", "options": {"num_predict": "1", "min_p": "0.5"}}),
    ("numbers in text", "/api/embed", {"input": "x", "options": {"num_ctx": "512"}, "keep_alive": "300"}),
    ("an unknown effort", "/v1/chat/completions", {"messages": USER, "max_tokens": 1, "reasoning_effort": "ultra"}),
    ("an unknown effort", "/v1/responses", {"input": "x", "max_output_tokens": 1, "reasoning": {"effort": "ultra"}}),
    ("an unknown effort", "/v1/messages", {"messages": USER, "max_tokens": 1, "output_config": {"effort": "ultra"}}),
    ("unknown thinking", "/v1/messages", {"messages": USER, "max_tokens": 1, "thinking": {"type": "dynamic"}}),
    ("thoughts that are off", "/api/chat", {"messages": USER, "think": "none"} | OLLAMA),
    ("unknown fields", "/v1/embeddings", {"input": "x", "what": [None, {"is": "this"}]}),
    ("half a pair", "/tokenize", b'{"content": "a\\ud83d"}'),
    ("half a pair", "/v1/chat/completions", HALF),
    ("a byte order mark", "/v1/messages", MARKED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body"), [row[1:] for row in DIALECTS_TAKE], ids=[f"{row[1]}-{row[0]}" for row in DIALECTS_TAKE]
)
def test_every_dialect_takes_it(server: Server, path: str, body: Any) -> None:
    status, answer = server.post(path, body)
    assert status == 200, answer


DIALECTS_REFUSE: list[tuple[str, Any, str]] = [
    ("/completion", {"prompt": "x", "n_predict": 1.5}, "n_predict"),
    ("/v1/chat/completions", {"messages": USER, "max_tokens": "1"}, "max_tokens"),
    ("/v1/chat/completions", {"messages": USER, "max_tokens": -5}, "max_tokens"),
    ("/v1/responses", {"input": "x", "temperature": "warm"}, "temperature"),
    ("/v1/messages", {"messages": USER}, "max_tokens"),
    ("/v1/messages", {"messages": USER, "max_tokens": None}, "max_tokens"),
    ("/api/chat", {"messages": USER, "options": {"num_predict": "many"}}, "num_predict"),
    ("/api/chat", {"messages": USER, "keep_alive": "soon"}, "keep_alive"),
]


@pytest.mark.parametrize(("path", "body", "field"), DIALECTS_REFUSE)
def test_what_is_absurd_is_named(server: Server, path: str, body: Any, field: str) -> None:
    status, answer = server.post(path, body)
    assert status == 400
    assert field in json.dumps(answer)
