"""Whether an answer is what it should be: complete, well-formed, and within what was asked for.

Knows llama-server's and OpenAI's answers, streamed and whole. A refusal has a status of its own and an error object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from draw import Dialect, Expected
from wire import Reply

_STOP_TYPES = {"eos", "word", "limit"}
_BUSY = 503


class Outcome(Enum):
    """What became of a question."""

    ANSWERED = "answered"
    REFUSED = "refused"
    BUSY = "busy"
    LEFT = "left"
    FAILED = "failed"


class Wrong(Exception):
    """An answer is not what it should be."""


@dataclass(frozen=True, slots=True)
class _Text:
    """One of the texts of an answer. `tokens` is None where that is not told."""

    text: str
    ending: str
    tokens: int | None


def judge(expected: Expected, reply: Reply) -> Outcome:
    """What `reply` is. Raises `Wrong` when it is not what it should be."""
    if reply.status != 200:
        return _refusal(expected, reply)
    if expected.refused:
        raise Wrong(f"answered, but it should have been refused: {reply.body[:200]!r}")
    if not expected.streams:
        content = _json(reply.body)
        if expected.dialect is Dialect.NATIVE:
            _check_texts(expected, _native_texts(expected, content))
        elif expected.dialect is Dialect.CHAT:
            _check_texts(expected, [_chat_text(expected, content)])
        elif expected.dialect is Dialect.EMBEDDING:
            _check_vectors(expected, content)
        return Outcome.ANSWERED
    events = _events(reply, with_done=expected.dialect is Dialect.CHAT)
    if "error" in events[-1]:
        return _error_object(expected, events[-1], None)
    texts = _native_stream(expected, events) if expected.dialect is Dialect.NATIVE else [_chat_stream(expected, events)]
    _check_texts(expected, texts)
    return Outcome.ANSWERED


# -- refusals -------------------------------------------------------------------------------------------------


def _refusal(expected: Expected, reply: Reply) -> Outcome:
    _need("json" in reply.headers.get("content-type", ""), f"status {reply.status} without JSON: {reply.body[:200]!r}")
    if reply.status == _BUSY:
        _need("retry-after" in reply.headers, "status 503 without Retry-After")
    return _error_object(expected, _json(reply.body), reply.status)


def _error_object(expected: Expected, content: Any, status: int | None) -> Outcome:
    """`status` None in the middle of a stream."""
    error = _field(content, "error", dict)
    code, message = _field(error, "code", int), _field(error, "message", str)
    _field(error, "type", str)
    _need(status is None or code == status, f"status {status} with error code {code}")
    _need(bool(message), "an error without a message")
    _need(400 <= code < 500 or code == _BUSY, f"error {code}: {message}")
    if code == _BUSY:
        return Outcome.BUSY
    _need(expected.refused or expected.refusable, f"refused, but it should have been answered: {code}: {message}")
    return Outcome.REFUSED


# -- whole answers --------------------------------------------------------------------------------------------


def _native_texts(expected: Expected, content: Any) -> list[_Text]:
    finals = content if expected.answers > 1 else [content]
    _need(isinstance(finals, list) and len(finals) == expected.answers, f"not {expected.answers} answers")
    return [_native_final(final, _field(final, "content", str)) for final in finals]


def _native_final(final: Any, text: str) -> _Text:
    _need(final.get("stop") is True, "the last event does not say so")
    ending = _field(final, "stop_type", str)
    _need(ending in _STOP_TYPES, f"stop_type {ending!r}")
    for name in ("tokens_evaluated", "tokens_cached"):
        _field(final, name, int)
    _field(final, "timings", dict)
    return _Text(text, ending, _field(final, "tokens_predicted", int))


def _chat_text(expected: Expected, content: Any) -> _Text:
    choices = _field(content, "choices", list)
    _need(len(choices) == expected.answers, f"{len(choices)} choices")
    message = _field(choices[0], "message", dict)
    _need(message.get("role") == "assistant", "no role")
    tokens = _usage(content)
    return _Text(_field(message, "content", str), _finish_reason(choices[0]), tokens)


def _usage(content: Any) -> int:
    usage = _field(content, "usage", dict)
    asked = int(_field(usage, "prompt_tokens", int))
    said = int(_field(usage, "completion_tokens", int))
    _need(usage.get("total_tokens") == asked + said, f"the counts do not add up: {usage}")
    return said


def _check_vectors(expected: Expected, content: Any) -> None:
    data = _field(content, "data", list)
    _need(len(data) == expected.answers, f"{len(data)} vectors for {expected.answers} texts")
    for i, one in enumerate(data):
        vector = _field(one, "embedding", list)
        _need(one.get("index") == i, "the vectors are not in order")
        _need(abs(sum(value * value for value in vector) - 1) < 1e-3, "a vector's length is not 1")


# -- streams --------------------------------------------------------------------------------------------------


def _events(reply: Reply, *, with_done: bool) -> list[Any]:
    _need("text/event-stream" in reply.headers.get("content-type", ""), "no event stream")
    text = reply.body.decode()
    _need(text.endswith("\n\n"), f"the stream ends in the middle of an event: {text[-100:]!r}")
    data = []
    for event in text[:-2].split("\n\n"):
        if with_done and event == ": ping":  # nothing had come for a while
            continue
        _need(event.startswith("data: ") and "\n" not in event, f"no event: {event[:100]!r}")
        data.append(event.removeprefix("data: "))
    if with_done:
        _need(data.pop() == "[DONE]", "the stream does not end with [DONE]")
    _need(bool(data), "the stream is empty")
    return [_json(one.encode()) for one in data]


def _native_stream(expected: Expected, events: Sequence[Any]) -> list[_Text]:
    texts = [""] * expected.answers
    finals: dict[int, Any] = {}
    for event in events:
        index = _field(event, "index", int)
        _need(index not in finals, "an event after the last")
        texts[index] += _field(event, "content", str)
        if event["stop"]:
            finals[index] = event
    _need(len(finals) == expected.answers, f"{len(finals)} of {expected.answers} answers came to an end")
    return [_native_final(finals[index], text) for index, text in enumerate(texts)]


def _chat_stream(expected: Expected, events: Sequence[Any]) -> _Text:
    tokens = None
    if expected.usage:
        tokens = _usage(events[-1])
        events = events[:-1]
    choices = [_field(event, "choices", list)[0] for event in events]
    _need(choices[0]["delta"].get("role") == "assistant", "no role")
    _need(all(choice["finish_reason"] is None for choice in choices[:-1]), "more after the last event")
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    return _Text(text, _finish_reason(choices[-1]), tokens)


def _finish_reason(choice: Any) -> str:
    reason = choice.get("finish_reason")
    _need(reason in ("stop", "length"), f"finish_reason {reason!r}")
    return "eos" if reason == "stop" else "limit"


# -- texts ----------------------------------------------------------------------------------------------------


def _check_texts(expected: Expected, texts: Sequence[_Text]) -> None:
    for one in texts:
        if expected.limit is not None and one.tokens is not None:
            _need(one.tokens <= expected.limit, f"{one.tokens} tokens, {expected.limit} were asked for")
        for stop in expected.stop:
            _need(stop not in one.text, f"{stop!r} is in {one.text!r}")
        if expected.pattern and one.ending == "eos":
            _need(re.fullmatch(expected.pattern, one.text) is not None, f"against the grammar: {one.text!r}")


def _need(holds: bool, complaint: str) -> None:
    if not holds:
        raise Wrong(complaint)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise Wrong(f"not JSON: {data[:200]!r}") from None


def _field(content: Any, name: str, kind: type) -> Any:
    _need(isinstance(content, dict) and isinstance(content.get(name), kind), f"no {name} in {str(content)[:300]}")
    return content[name]
