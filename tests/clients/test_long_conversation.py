"""A session that does not end: forty turns with one of everything that clients carry along, in each dialect.

Everything is sent again with each turn, and each computes only what is new.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.bundles import Server
from support.carried_along import CARRIED
from support.long_conversations import AnthropicTalk, OllamaTalk, RememberedTalk, ResponsesTalk, Spent, Talk

TURNS = 40
TALKS = [Talk, ResponsesTalk, RememberedTalk, AnthropicTalk, OllamaTalk]
SYSTEM = "You are a coding agent. Today is Monday. " * 4
ASKED: list[Any] = [
    "and now?",
    [{"type": "text", "text": "and now?", "cache_control": {"type": "ephemeral"}, "citations": None}],
    "half a pair: \ud83d",
    [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}, "title": None}],
    [None, {"type": "input_text", "text": "and now?"}, {"type": "thinking", "thinking": "hm"}],
]
"""What the user says, in turns."""

LENIENT: list[dict[str, Any]] = [
    {},
    {"temperature": None, "top_p": 1.0, "stop_sequences": [None], "metadata": []},
    {"top_k": 40.0, "seed": 7.0, "thinking": None, "response_format": None},
    {"keep_alive": "300", "what_comes_next": {"is": [None]}, "text": []},
]
"""Fields that each dialect takes or passes over."""


@pytest.fixture(scope="module")
def roomy(demo: Path, warm_cache: Path) -> Iterator[Server]:
    """A server whose context holds all of it."""
    with Server(demo, "-c", "32768", "-np", "2", cache=warm_cache) as server:
        yield server


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("talking", TALKS)
def test_each_turn_computes_only_what_is_new(roomy: Server, talking: type[Talk], stream: bool) -> None:
    carried = [body for _, path, body in CARRIED if path == talking.path and talking.key in body]
    tools = [tool for body in carried for tool in body.get("tools", ())]
    talk = talking(roomy, f"{talking.__name__} {stream}: {SYSTEM}", tools, stream=stream)
    every = TURNS // len(carried)
    spent: list[Spent] = []
    for turn in range(TURNS):
        odd = carried[turn // every][talking.key] if turn % every == every // 2 and turn < every * len(carried) else []
        earlier = [user(odd)] if isinstance(odd, str) else odd
        spent.append(talk.ask([*earlier, user(ASKED[turn % len(ASKED)])], **LENIENT[turn % len(LENIENT)]))
    assert_only_what_is_new(spent)


@pytest.mark.parametrize("path", ["/v1/completions", "/completion"])
def test_a_text_that_goes_on(roomy: Server, path: str) -> None:
    spent: list[Spent] = []
    text = f"{path}: {SYSTEM * 5}"
    for turn in range(TURNS):
        text += f"\nline {turn}, and what follows it: "
        status, answer = roomy.post(path, {"prompt": text, "max_tokens": 8.0, "n_predict": 8, "stop": None})
        assert status == 200, answer
        timings = answer["timings"]
        spent.append(Spent(timings["cache_n"] + timings["prompt_n"], timings["cache_n"], timings["predicted_n"]))
        text += answer["content"] if path == "/completion" else answer["choices"][0]["text"]
    assert_only_what_is_new(spent)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assert_only_what_is_new(spent: list[Spent]) -> None:
    for turn, (before, now) in enumerate(itertools.pairwise(spent), 1):
        history = before.prompt + before.answer
        assert now.cached >= 0.95 * history, f"turn {turn}: {now} after {before}"
        assert now.prompt > history
