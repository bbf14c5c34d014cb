"""A conversation that goes on and on as a client of each dialect holds it: all of it is sent anew with each turn.

Knows how an answer comes back into the history, and where each dialect says what a prompt took. Refuses to know what
the turns are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from support.bundles import Server
from support.carried_along import CHAT, LIMITS, MESSAGES, OLLAMA, RESPONSES

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens: of the prompt, of those that had been computed before, and of the answer."""

    prompt: int
    cached: int
    answer: int


class Talk:
    """A conversation over OpenAI's chat, which others differ from."""

    path = CHAT
    key = "messages"

    def __init__(self, server: Server, system: str, tools: list[Any], *, stream: bool) -> None:
        self._server = server
        self._fields: dict[str, Any] = {"tools": tools}
        self._stream = stream
        self.history: list[Any] = []
        self._begin(system)

    def ask(self, said: Sequence[Any], **fields: Any) -> Spent:
        """Say more, and take the answer into the history as it came."""
        self.history += said
        body = {"model": "demo", **LIMITS[self.path], **self._fields, **fields, **self._said(), "stream": self._stream}
        status, answer = self._server.post(self.path, _BYTE_ORDER_MARK + json.dumps(body).encode())
        assert status == 200, answer
        events = list(map(json.loads, _events(answer))) if self._stream else []
        assert not [event for event in events if "error" in event]
        turns, spent = self._streamed(events) if self._stream else self._whole(answer)
        self.history += turns
        return spent

    def _begin(self, system: str) -> None:
        self.history.append({"role": "system", "content": system})

    def _said(self) -> dict[str, Any]:
        usage = {"stream_options": {"include_usage": True}} if self._stream and self.path == CHAT else {}
        return {self.key: self.history, **usage}

    def _whole(self, answer: dict[str, Any]) -> tuple[list[Any], Spent]:
        usage = answer["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        message = answer["choices"][0]["message"]
        return [message], Spent(usage["prompt_tokens"], cached, usage["completion_tokens"])

    def _streamed(self, events: list[Any]) -> tuple[list[Any], Spent]:
        message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
        for event in events[:-1]:
            delta = event["choices"][0]["delta"]
            for field in ("content", "reasoning_content"):
                message[field] = message.get(field, "") + (delta.get(field) or "")
            for call in delta.get("tool_calls") or ():
                if call["index"] == len(message["tool_calls"]):
                    message["tool_calls"].append(call)
                else:
                    function = message["tool_calls"][call["index"]]["function"]
                    function["arguments"] += call["function"]["arguments"]
        _, spent = self._whole({**events[-1], "choices": [{"message": None}]})
        return [message], spent


class ResponsesTalk(Talk):
    """Over OpenAI's Responses."""

    path = RESPONSES
    key = "input"

    def _begin(self, system: str) -> None:
        self._fields["instructions"] = system

    def _whole(self, answer: dict[str, Any]) -> tuple[list[Any], Spent]:
        usage = answer["usage"]
        cached = usage["input_tokens_details"]["cached_tokens"]
        return answer["output"], Spent(usage["input_tokens"], cached, usage["output_tokens"])

    def _streamed(self, events: list[Any]) -> tuple[list[Any], Spent]:
        return self._whole(events[-1]["response"])


class RememberedTalk(ResponsesTalk):
    """The same, but the server remembers what was said: only what is new is sent."""

    _last: str | None = None

    def _said(self) -> dict[str, Any]:
        said, self.history = self.history, []
        return {"input": said, "previous_response_id": self._last, "store": None}

    def _whole(self, answer: dict[str, Any]) -> tuple[list[Any], Spent]:
        self._last = answer["id"]
        return [], super()._whole(answer)[1]


class AnthropicTalk(Talk):
    """Over Anthropic's messages."""

    path = MESSAGES

    def _begin(self, system: str) -> None:
        self._fields["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]

    def _whole(self, answer: dict[str, Any]) -> tuple[list[Any], Spent]:
        usage = answer["usage"]
        cached, created = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
        spent = Spent(usage["input_tokens"] + cached + created, cached, usage["output_tokens"])
        return [{"role": "assistant", "content": answer["content"]}], spent

    def _streamed(self, events: list[Any]) -> tuple[list[Any], Spent]:
        blocks: list[Any] = []
        written = ""
        for event in events:
            if event["type"] == "content_block_start":
                blocks.append(event["content_block"])
                written = ""
            elif event["type"] == "content_block_delta":
                (kind,) = {"text", "thinking", "signature", "partial_json"} & event["delta"].keys()
                written += event["delta"][kind]
                blocks[-1]["input" if kind == "partial_json" else kind] = written
        return self._whole({"content": blocks, "usage": events[-2]["usage"]})


class OllamaTalk(Talk):
    """Over Ollama's chat, which does not say what was computed before: `/metrics` does."""

    path = OLLAMA

    def ask(self, said: Sequence[Any], **fields: Any) -> Spent:
        before = self._cached()
        spent = super().ask(said, **fields)
        return Spent(spent.prompt, self._cached() - before, spent.answer)

    def _whole(self, answer: dict[str, Any]) -> tuple[list[Any], Spent]:
        return [answer["message"]], Spent(answer["prompt_eval_count"], 0, answer["eval_count"])

    def _streamed(self, events: list[Any]) -> tuple[list[Any], Spent]:
        message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
        for event in events:
            message["content"] += event["message"]["content"]
            message["tool_calls"] += event["message"].get("tool_calls", [])
        return self._whole({**events[-1], "message": message})

    def _cached(self) -> int:
        _, text = self._server.get("/metrics")
        (line,) = (line for line in text.splitlines() if line.startswith("llamacpp:prompt_tokens_cached_total "))
        return int(float(line.split()[1]))


def _events(answer: str) -> list[str]:
    """The objects in a stream of either form: of events, or of lines."""
    lines = [line.removeprefix("data: ") for line in answer.splitlines()]
    return [line for line in lines if line.startswith("{")]
