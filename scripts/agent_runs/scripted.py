"""A model that says what it is told to: the fake at the engine's boundary, with words for tokens.

Knows prompts as the demo model's template writes them (the Hermes family). A turn asks to read a file; the model calls
the tool that the agent offers for that, then says what the result was. Refuses to know agents and HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from runtime.engine.backend import Sampled
from runtime.engine.types import Sampling
from support.fakes import FakeContext, FakeModel

QUESTION = "Call a tool to read the file {path}, then say the word that it holds."
_ASKED = re.compile(r"read the file (\S+), then say")
_WORD = re.compile(r"\bword-[0-9a-f]{8}\b")
_PIECE = re.compile(r"<\|im_(?:start|end)\|>|\s*[^\s<]+|\s+|<")
_END = "<|im_end|>"

_READERS = ("Read", "read", "read_file", "shell_command", "exec_command", "shell", "Bash", "bash", "run_shell_command")
"""What agents call the tool that reads a file, or runs a command; the first that is offered is called."""

_PATHS = ("file_path", "filePath", "absolute_path", "path")
_COMMANDS = ("command", "cmd")


class ScriptedModel(FakeModel):
    """Its vocabulary is every word that it has met. Token 0 ends a generation."""

    def __init__(self, template: str, n_ctx: int) -> None:
        super().__init__()
        self.facts = msgspec.structs.replace(
            self.facts, chat_template=template, vocabulary_size=2**24, n_ctx_train=n_ctx, ends=(0,), eos=_END
        )
        self._pieces = [_END]
        self._tokens = {_END: 0}

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:  # noqa: ARG002
        return tuple(map(self._token, _PIECE.findall(text)))

    def piece(self, token: int, *, special: bool = False) -> bytes:
        return b"" if token == 0 and not special else self._pieces[token].encode()

    def text(self, tokens: Sequence[int]) -> str:
        return "".join(self._pieces[token] for token in tokens)

    def _token(self, piece: str) -> int:
        token = self._tokens.setdefault(piece, len(self._pieces))
        if token == len(self._pieces):
            self._pieces.append(piece)
        return token


class ScriptedContext(FakeContext):
    """Answers each prompt by the script. `model` is a `ScriptedModel`."""

    def new_sampler(self, sampling: Sampling, prompt: Sequence[int]) -> ScriptedSampler:  # type: ignore[override]
        model = self.model
        assert isinstance(model, ScriptedModel)
        said = answer_to(model.text(prompt), is_bound=bool(sampling.grammar))
        return ScriptedSampler(model.tokenize(said, add_special=False, parse_special=False))


class ScriptedSampler:
    """Says its tokens one after the other, then ends."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._rest = iter(tokens)

    def sample(self, output: int) -> Sampled:  # noqa: ARG002
        return Sampled(next(self._rest, 0))

    def close(self) -> None: ...


def scripted_context(template: str, n_ctx: int) -> ScriptedContext:
    """A pool of `n_ctx` tokens over a model with this chat template."""
    return ScriptedContext(n_ctx=n_ctx, n_slots=4, n_batch=n_ctx, n_ubatch=n_ctx, model=ScriptedModel(template, n_ctx))


def answer_to(prompt: str, *, is_bound: bool) -> str:
    """What the script says next. `is_bound`: by a grammar, which wants JSON where no tool is offered."""
    tools = list(_offered(prompt))
    asked = list(_ASKED.finditer(prompt))
    if not tools or not asked:
        return '{"title": "A short title"}' if is_bound and not tools else "A short title"
    path, since = asked[-1][1], prompt[asked[-1].end() :]
    if "<tool_response>" in since:
        words = _WORD.findall(since[since.rindex("<tool_response>") :])
        return f"The file holds {words[-1]}." if words else "The tool's result holds no such word."
    call = _reading(tools, path)
    return "No tool reads files." if call is None else f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


def _offered(prompt: str) -> Iterator[dict[str, Any]]:
    """The functions that the system prompt lists."""
    _, _, rest = prompt.partition("<tools>\n")
    for line in rest.partition("\n</tools>")[0].splitlines():
        tool = json.loads(line)
        yield tool.get("function", tool)


def _reading(tools: Sequence[dict[str, Any]], path: str) -> dict[str, Any] | None:
    """A call that reads the file `path` with one of `tools`; what else the tool requires is filled in."""
    by_name = {tool["name"]: tool for tool in tools}
    name = next((name for name in _READERS if name in by_name), None)
    if name is None:
        return None
    schema = by_name[name]["parameters"]
    properties: dict[str, Any] = schema["properties"]
    arguments: dict[str, Any] = {}
    for key in properties:
        if key in _PATHS:
            arguments[key] = path
        elif key in _COMMANDS:
            is_list = properties[key].get("type") == "array"
            arguments[key] = ["cat", path] if is_list else f"cat {path}"
        elif key in schema.get("required", ()):
            arguments[key] = _FILLERS[properties[key].get("type", "string")]
    return {"name": name, "arguments": arguments}


_FILLERS: dict[str, Any] = {
    "string": "to see it",
    "boolean": False,
    "integer": 1,
    "number": 1,
    "array": [],
    "object": {},
}


def template() -> str:
    """The demo model's chat template."""
    return (Path(__file__).parent.parent / "demo_model" / "template.jinja").read_text(encoding="utf-8")
