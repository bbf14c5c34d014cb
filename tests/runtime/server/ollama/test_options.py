"""Ollama's options, templates and keep_alive: what becomes of them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from runtime.engine.facts import InfillTokens
from runtime.engine.types import Sampling
from runtime.server.ollama.fields import seconds_kept
from runtime.server.ollama.options import Options, default_sampling, generation_fields, max_tokens
from runtime.server.ollama.template import render
from runtime.server.refusals import BadRequest
from support.apps import with_app
from support.bundles import Server
from support.fakes import FACTS, FakeContext, FakeModel

GENERATE = "/api/generate"
PROMPT = "The first man on the moon was ..."


def test_options_are_ollama_s(server: Server) -> None:
    """What its clients send, all at once: names that mean nothing here, wholes as fractions, nulls, unknown ones."""
    options = {
        "num_ctx": 4096, "num_gpu": 1, "num_keep": 4.0, "top_k": 40.0, "seed": 42, "repeat_last_n": -1, "tfs_z": 1,
        "typical_p": 1, "mirostat": 0, "penalize_newline": True, "num_predict": -2, "stop": ["Arm"], "use_mmap": None,
        "min_p": 0, "unheard_of": {"x": 1}, "temperature": 0,
    }  # fmt: skip
    status, body = server.post(GENERATE, {"model": "demo", "prompt": PROMPT, "options": options, "stream": False})
    assert status == 200, body
    assert body["response"].rstrip().endswith("Neil")
    assert body["done_reason"] == "stop"


def test_defaults_are_ollama_s_unless_the_server_was_told() -> None:
    assert (default_sampling(Sampling()).top_p, default_sampling(Sampling()).min_p) == (0.9, 0.0)
    told = default_sampling(Sampling(top_p=0.5, temperature=0.1))
    assert (told.top_p, told.min_p, told.temperature) == (0.5, 0.0, 0.1)
    assert generation_fields(Options(), 0).n_keep == 4
    assert generation_fields(Options(num_keep=-7), 0).n_keep == -1


@pytest.mark.parametrize(
    ("given", "default", "limit"),
    [
        (None, None, None),
        (None, 7, 7),
        (-1, 7, 7),
        (0, 7, 7),
        (-2, 7, None),
        (3, 7, 3),
        (3.0, None, 3),
        (-9, None, None),
    ],
)
def test_how_many_tokens(given: Any, default: int | None, limit: int | None) -> None:
    assert max_tokens(Options(num_predict=given), default) == limit


@pytest.mark.parametrize(
    ("keep_alive", "seconds"),
    [
        (0, 0),
        (0.0, 0),
        ("0", 0),
        ("0s", 0),
        ("-0h0m", 0),
        (300, 300),
        ("300", 300),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("1h2m3.5s", 3723.5),
        ("250ms", 0.25),
        ("100us", 0.0001),
        (".5m", 30),
        (-1, math.inf),
        ("-1", math.inf),
        ("-5m", math.inf),
        (1e300, math.inf),
        ("9999999h", math.inf),
    ],
)
def test_keep_alive(keep_alive: Any, seconds: float) -> None:
    assert seconds_kept(keep_alive) == pytest.approx(seconds)


TEMPLATES = [
    ("{{ .System }} {{ .Prompt }}", "S", "S P"),
    ("a {{- .Prompt -}} b", "", "aPb"),
    ("{{ if .System }}<{{ .System }}>{{ end }}{{ .Prompt }}", "S", "<S>P"),
    ("{{ if .System }}<{{ .System }}>{{ end }}{{ .Prompt }}", "", "P"),
    ("{{if .System}}{{if .Prompt}}x{{end}}{{else}}y{{end}}{{/* note */}}!", "", "y!"),
    ("{{ .Prompt }}: {{ .Response }}<end>", "", "P: "),
    ("no fields", "S", "no fields"),
]


@pytest.mark.parametrize(("template", "system", "text"), TEMPLATES)
def test_templates(template: str, system: str, text: str) -> None:
    assert render(template, {"System": system, "Prompt": "P"}) == text


@pytest.mark.parametrize(
    "template",
    ["{{ range .Messages }}", "{{ .Messages }}", "{{ if .System }}", "{{ end }}", "{{ else }}", "{{}}", "{{ if }}"],
)
def test_templates_beyond_that_are_refused(template: str) -> None:
    with pytest.raises(BadRequest, match="template"):
        render(template, {"System": "S", "Prompt": "P"})


def test_a_gap_is_filled_by_models_that_can() -> None:
    model = FakeModel(ends_at=25)
    model.facts = type(FACTS)(
        **{
            **{name: getattr(FACTS, name) for name in FACTS.__struct_fields__},
            "chat_template": "{% for message in messages %}{{ message.content }}{% endfor %}",
            "infill": InfillTokens(prefix=500, suffix=501, middle=20),
        }
    )
    context = FakeContext(model=model)

    async def fill(ask: Any, _engine: Any) -> None:
        body = json.dumps({"prompt": "1 2", "suffix": "3", "stream": False}).encode()
        status, _headers, content = await ask("POST", GENERATE, body)
        answer = json.loads(content)
        assert (status, answer["response"]) == (200, "21 22 23 24 ")
        assert answer["context"][:6] == [500, 1, 2, 501, 3, 20]
        _status, _headers, content = await ask("POST", "/api/show", b'{"model": "x"}')
        assert "insert" in json.loads(content)["capabilities"]

    with_app(lambda: context, fill)
