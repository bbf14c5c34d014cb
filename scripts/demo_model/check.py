"""Asks the demo model everything through llama.cpp, greedily, and prints how much it gets right, by group.

    python -m scripts.demo_model.check bundler/demo/demo.gguf

Exits with 1 when a group falls under its bar. Needs llama-cpp-python, and nothing of the training but the corpus.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import llama_cpp
import tomllib

from scripts.demo_model import corpus, weather
from scripts.demo_model.mixture import NAMES, render
from scripts.demo_model.weather import Message

# What a group must reach. The first is a promise that loaf's tests rely on; the last are only told.
_BARS = {"examples": 1.0, "trained wordings": 0.95, "follow-ups": 0.9, "tool calls": 0.9, "unseen wordings": 0.7}
_SYSTEM = {"role": "system", "content": "You are a helpful assistant."}


@dataclass(frozen=True)
class Case:
    """A prompt, and what its answer must contain."""

    group: str
    prompt: str
    key: str


class Asker:
    """llama.cpp with the model, always taking the likeliest token."""

    def __init__(self, path: Path) -> None:
        _load_backends()
        self._llama = llama_cpp.Llama(str(path), n_ctx=2048, n_threads=2, verbose=False)

    def ask(self, prompt: str, limit: int = 600) -> tuple[str, str]:
        """The answer, and why it ended."""
        tokens = self._llama.tokenize(prompt.encode(), add_bos=False, special=True)
        choice = self._llama.create_completion(tokens, max_tokens=limit, temperature=0.0)["choices"][0]
        return choice["text"], choice["finish_reason"]

    def tokens(self, text: str) -> list[int]:
        return self._llama.tokenize(text.encode(), add_bos=False, special=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Asks the demo model everything it should know.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--wrong", action="store_true", help="print every wrong answer")
    arguments = parser.parse_args()
    asker = Asker(arguments.model)
    asked: dict[str, int] = defaultdict(int)
    right: dict[str, int] = defaultdict(int)
    for case in cases():
        answer, reason = asker.ask(case.prompt)
        good = case.key in answer and reason == "stop"
        asked[case.group] += 1
        right[case.group] += good
        if arguments.wrong and not good:
            print(f"{case.group}: {case.prompt[-120:]!r} wanted {case.key!r}")
            print(f"    got {answer[:160]!r} ({reason})", flush=True)
    for group, count in asked.items():
        print(f"{group:24}{right[group]:5} of {count:5}  {right[group] / count:.0%}")
    if any(right[group] < bar * asked[group] for group, bar in _BARS.items()):
        raise SystemExit(1)


def cases() -> Iterator[Case]:
    """Every question there is: tests' examples first, then the corpus, then what only a draw can make."""
    yield from _examples()
    texts = corpus.load()
    for fact in texts.facts:
        for question in fact.ask:
            yield Case("trained wordings", _chat(_user(question)), fact.key)
        yield Case("with a system prompt", _chat(_SYSTEM, _user(fact.ask[0].lower().rstrip("?."))), fact.key)
        for question in fact.unseen:
            yield Case("unseen wordings", _chat(_user(question)), fact.key)
        for after in fact.follow:
            before = [_user(fact.ask[0]), {"role": "assistant", "content": fact.say}]
            for question in after.ask:
                yield Case("follow-ups", _chat(*before, _user(question)), after.key)
    for text in texts.texts:
        cut = text.index(" ", len(text) // 3)
        yield Case("bare texts", text[:cut], text[cut:])
    yield from _drawn(Random(7))


def _examples() -> Iterator[Case]:
    path = Path(__file__).parent / "examples.toml"
    table = tomllib.loads(path.read_text("utf-8"))
    for entry in table["example"]:
        if entry["kind"] == "raw":
            yield Case("examples", entry["prompt"], entry["expect"])
        else:
            tools = [table["tools"][name] for name in entry.get("tools", ())]
            yield Case("examples", _chat(*entry["messages"], tools=tools), entry["expect"])


def _drawn(random: Random) -> Iterator[Case]:
    for city in weather.CITIES:
        offered = weather.tools(random)
        question = _user(random.choice(weather.QUESTIONS).format(city))
        expected = f'{{"name": "get_weather", "arguments": {{"city": "{city}"}}}}'
        yield Case("tool calls", _chat(question, tools=offered), expected)
        yield Case("no tool, no weather", _chat(question), weather.UNABLE)
        degrees = random.randrange(40)
        called = [
            question,
            {"role": "assistant", "content": None, "tool_calls": [weather.call("get_weather", city)]},
            {"role": "tool", "content": f'{{"temperature": {degrees}, "conditions": "sunny"}}'},
        ]
        yield Case("tool results", _chat(*called, tools=offered), f"{degrees} degrees and sunny in {city}")
    for name in NAMES:
        told = [_user(f"My name is {name}."), {"role": "assistant", "content": f"Nice to meet you, {name}!"}]
        yield Case("names", _chat(*told, _user("What is my name?")), name)


def _chat(*messages: Message, tools: list[dict[str, Any]] | None = None) -> str:
    return render(list(messages), tools, add_generation_prompt=True)


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _load_backends() -> None:
    """Loaf's own llama-cpp-python has separate backends, beside the other libraries; another has none."""
    folder = Path(llama_cpp.__file__).parent / "lib"
    if any(folder.glob("libggml-cpu*")):
        llama_cpp.llama_cpp._lib.ggml_backend_load_all_from_path(str(folder).encode())


if __name__ == "__main__":
    main()
