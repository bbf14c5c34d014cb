"""`loaf build --warm`: the first request goes on from what the build has computed, or computes it, to the same text."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.bundle import WARM_STATE, Warm, open_bundle
from runtime.engine.backend import BatchItem
from runtime.engine.cache import PrefixCache
from runtime.engine.shelf import Shelf
from runtime.engine.states import StateFile, Warmth
from runtime.engine.storage import Storage
from runtime.models.warmth import difference
from support.adapters import write_lora
from support.architectures import Architecture, write_model
from support.bundles import Server, loaf
from support.fakes import FACTS, FakeContext
from support.places import DATA

Run = Callable[..., Any]

_TOKENS_OFFSET = 8 + 32 + 32 + 12
"""Bytes from the start of a state to its tokens: `runtime/engine/llama/states.py`."""

TEXT = " ".join(f"Loaf number {number} lies on the table." for number in range(40))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "system.txt"
    path.write_text(f"{TEXT}\n")
    return path


@pytest.fixture(scope="module")
def warm(text: Path) -> Path:
    """The demo model, warm for a system prompt."""
    target = text.with_name("warm.loaf")
    result = loaf("build", "demo", "-o", str(target), "--warm", str(text), "--system-file", str(text))
    assert result.returncode == 0, result.stderr
    return target


def ask(server: Server, path: str, **body: Any) -> tuple[int, str]:
    """(tokens that were there, greedy answer)."""
    status, answer = server.post(path, {"temperature": 0, "max_tokens": 24, "n_predict": 24, **body})
    assert status == 200, answer
    if "choices" in answer:
        return answer["usage"]["prompt_tokens_details"]["cached_tokens"], answer["choices"][0]["message"]["content"]
    return answer["timings"]["cache_n"], answer["content"]


def chat(question: str, system: str = TEXT) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": question}]}


def tokens_in(bundle: Path) -> list[int]:
    """What is warm."""
    opened = open_bundle(bundle)
    span = opened.spans[WARM_STATE]
    assert opened.manifest.warm is not None
    with bundle.open("rb") as file:
        file.seek(span.offset + _TOKENS_OFFSET)
        return list(struct.unpack(f"<{opened.manifest.warm.tokens}i", file.read(4 * opened.manifest.warm.tokens)))


def test_chats_go_on_from_the_system_prompt(warm: Path, demo: Path, warm_cache: Path) -> None:
    """As if the text had been asked before: to the very same answers."""
    tokens = tokens_in(warm)
    question = "Who was the first man on the moon?"
    with Server(warm, cache=warm_cache) as server, Server(demo, cache=warm_cache) as other:
        assert f"{len(tokens):,} tokens that are computed already" in "".join(server.said)
        other.post("/completion", {"prompt": tokens, "n_predict": 0})
        assert ask(server, "/v1/chat/completions", **chat(question)) == ask(
            other, "/v1/chat/completions", **chat(question)
        )
        there, _said = ask(server, "/v1/chat/completions", messages=[{"role": "user", "content": "Hello"}])
        assert there >= len(tokens), "it is the default system prompt"
        assert ask(server, "/v1/chat/completions", **chat(question, "Answer briefly."))[0] < 32
        ask(server, "/completion", prompt=[7] * 1900)  # nothing else fits
        assert ask(server, "/v1/chat/completions", **chat(question))[0] >= len(tokens), "it is still there"


NOT_USED = [
    (["--cache-type-k", "q8_0"], "--cache-type-k f16, and this is q8_0"),
    (["--cache-type-v", "f32"], "--cache-type-v f16, and this is f32"),
    (["--flash-attn", "off"], "--flash-attn auto, and this is off"),
    (["--ctx-size", "256"], "leave no room in a context of 256"),
]


@pytest.mark.parametrize(("flags", "says"), NOT_USED, ids=[row[0][0] for row in NOT_USED])
def test_what_it_does_not_fit_is_told(warm: Path, run: Run, flags: list[str], says: str) -> None:
    assert says in run(warm, "--explain", *flags).stdout
    assert "computed" not in run(warm, "--explain", *flags, "-m", warm.with_name("none")).stdout


def test_other_adapters_are_told(warm: Path, run: Run, tmp_path: Path) -> None:
    write_lora(tmp_path / "lora.gguf", seed=1, rank=4)
    write_model(tmp_path / "model.gguf", Architecture.ATTENTION)
    (tmp_path / "text").write_text("Once upon a time there was a loaf of bread who lived in a very small house. " * 2)
    result = loaf("build", "model.gguf", "-o", "x.loaf", "--warm", "text", "--lora", "lora.gguf=0.5", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "are computed already" in run(tmp_path / "x.loaf", "--explain").stdout
    assert "with other adapters" in run(tmp_path / "x.loaf", "--explain", "--lora", tmp_path / "lora.gguf").stdout
    inside = run(tmp_path / "x.loaf", "-p", (tmp_path / "text").read_text(), "--raw", "--temp", "0", "-n", "9")
    beside = run(warm, "-m", tmp_path / "model.gguf", "--lora-scaled", f"{tmp_path}/lora.gguf:0.5", "--raw",
                 "-p", (tmp_path / "text").read_text(), "--temp", "0", "-n", "9")  # fmt: skip
    assert inside.stdout == beside.stdout


SOME = Warm("warm/state.bin", 100, "a", (("b", 0.5),), "0.3.36", "f16", "f16", None)


def test_each_condition_counts() -> None:
    assert difference(SOME, msgspec.structs.replace(SOME, entry="", tokens=0)) == ""
    changes = [("model", "c"), ("adapters", (("b", 0.6),)), ("library", "0.3.37"), ("cache_type_k", "q8_0")]
    for name, value in [*changes, ("cache_type_v", "q8_0"), ("flash_attention", True)]:
        assert difference(SOME, msgspec.structs.replace(SOME, **{name: value})), name


@pytest.mark.parametrize("architecture", [each for each in Architecture if each is not Architecture.RERANKER])
def test_every_kind_of_memory(architecture: Architecture, demo: Path, warm_cache: Path, tmp_path: Path) -> None:
    """Those that keep a state need all of what was computed."""
    write_model(tmp_path / "model.gguf", architecture)
    text = "Once upon a time there was a loaf of bread who lived in a very small house on a table"
    (tmp_path / "text").write_text(text)
    asked = chat("And one day?", text)
    result = loaf("build", "model.gguf", "-o", "x.loaf", "--warm", "text", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    warm = open_bundle(tmp_path / "x.loaf").manifest.warm
    assert warm is not None
    with Server(tmp_path / "x.loaf", cache=warm_cache) as server:
        there, said = ask(server, "/v1/chat/completions", **asked)
        assert there == warm.tokens
    with Server(demo, "-m", str(tmp_path / "model.gguf"), cache=warm_cache) as server:
        assert said == ask(server, "/v1/chat/completions", **asked)[1]


def test_without_a_template_it_begins_prompts(warm_cache: Path, demo_gguf: Path, tmp_path: Path) -> None:
    bare = demo_gguf.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_nothing_")
    (tmp_path / "bare.gguf").write_bytes(bare)
    (tmp_path / "text").write_text(TEXT)
    loaf("build", "bare.gguf", "-o", "x.loaf", "--warm", "text", check=True, cwd=tmp_path)
    warm = open_bundle(tmp_path / "x.loaf").manifest.warm
    assert warm is not None
    with Server(tmp_path / "x.loaf", cache=warm_cache) as server:
        there, said = ask(server, "/completion", prompt=f"{TEXT} And the last one?")
        assert there == warm.tokens
        assert said == ask(server, "/completion", prompt=f"{TEXT} And the last one?", cache_prompt=False)[1]


def test_a_damaged_state_is_computed(warm: Path, warm_cache: Path, server: Server, tmp_path: Path) -> None:
    span = open_bundle(warm).spans[WARM_STATE]
    damaged = bytearray(warm.read_bytes())
    damaged[span.offset + span.size - 1000] ^= 1
    (tmp_path / "x.loaf").write_bytes(damaged)
    (tmp_path / "x.loaf").chmod(0o755)
    assert WARM_STATE in loaf("verify", str(tmp_path / "x.loaf")).stderr
    with Server(tmp_path / "x.loaf", cache=warm_cache) as damaged_server:
        there, said = ask(damaged_server, "/v1/chat/completions", **chat("Hello"))
        assert (there, said) == (0, ask(server, "/v1/chat/completions", **chat("Hello"))[1])


def test_two_builds_are_the_same_bytes(warm: Path, text: Path, tmp_path: Path) -> None:
    options = ("--warm", str(text), "--system-file", str(text))
    loaf("build", "demo", "-o", str(tmp_path / "again.loaf"), *options, check=True, cwd=tmp_path)
    assert (tmp_path / "again.loaf").read_bytes() == warm.read_bytes()
    assert loaf("verify", str(tmp_path / "again.loaf")).returncode == 0


def test_a_bundle_made_from_a_bundle_computes_it_anew(warm: Path, run: Run, tmp_path: Path) -> None:
    """With what is said now: other cache types are in the `.args` that it is computed with."""
    loaf("build", str(warm), "-o", str(tmp_path / "again.loaf"), "--args", "-ctk q8_0", check=True)
    about = open_bundle(tmp_path / "again.loaf").manifest.warm
    assert about is not None
    assert about.cache_type_k == "q8_0"
    assert "are computed already" in run(tmp_path / "again.loaf", "--explain").stdout


def test_weights_may_lie_beside_the_bundle(text: Path, run: Run, tmp_path: Path) -> None:
    loaf("build", "demo", "-o", str(tmp_path / "thin.loaf"), "--external", "--warm", str(text), check=True)
    assert "are computed already" in run(tmp_path / "thin.loaf", "--explain").stdout


def test_set_computes_what_building_computes(warm: Path, demo: Path, text: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.loaf"
    shutil.copy(demo, target)
    loaf("set", str(target), "--warm", str(text), "--system-file", str(text), check=True)
    assert target.read_bytes() == warm.read_bytes()
    assert "638 tokens that prompts begin with" in loaf("inspect", str(target), check=True).stdout


def test_set_computes_anew_what_depends_on_it(warm: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.loaf"
    shutil.copy(warm, target)
    assert "Computing" not in loaf("set", str(target), "--system", "Be brief.", check=True).stderr
    assert tokens_in(target) == tokens_in(warm)
    assert "Computing" in loaf("set", str(target), "--args", "-ctk q8_0", check=True).stderr
    about = open_bundle(target).manifest.warm
    assert about is not None
    assert about.cache_type_k == "q8_0"
    (tmp_path / "short").write_text("Hello")
    result = loaf("set", str(target), "--warm", str(tmp_path / "short"), "--name", "other")
    assert (result.returncode, "All else has been changed" in result.stderr) == (1, True), result.stderr
    assert open_bundle(target).manifest.name == "other"
    assert not [name for name in open_bundle(target).spans if name.startswith("warm/")]
    loaf("set", str(target), "--warm", str(warm.with_name("system.txt")), check=True)
    assert tokens_in(target) == tokens_in(warm)
    loaf("set", str(target), "--warm", "/dev/null", check=True)
    assert not [name for name in open_bundle(target).spans if name.startswith("warm/")]
    assert loaf("verify", str(target)).returncode == 0


BAD = [
    ("too short", ["demo"], "Hello", "comes to"),
    ("nothing", ["demo"], " ", "comes to"),
    ("longer than the context", ["demo"], "word " * 4000, "context"),
    ("a model that writes no text", [str(DATA / "embedder.gguf")], TEXT, "text"),
]


@pytest.mark.parametrize(("model", "text", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_cannot_be_computed_is_refused(tmp_path: Path, model: list[str], text: str, says: str) -> None:
    (tmp_path / "text").write_text(text)
    result = loaf("build", *model, "-o", "x.loaf", "--warm", "text", cwd=tmp_path)
    assert (result.returncode, says in result.stderr) == (1, True), result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


# -- the pool's side -------------------------------------------------------------------------------------------

A, B = list(range(100, 140)), list(range(200, 240))


class Pool:
    """A cache, the memory it stands for, and the storage between them, warm for `A`."""

    def __init__(self, file: Path, *, keeps_state: bool = False) -> None:
        file.write_text(" ".join(map(str, A)))
        self.context = FakeContext(n_ctx=100, n_slots=2, n_batch=1000)
        self.context.model.facts = facts = msgspec.structs.replace(FACTS, keeps_state=keeps_state, size=80_000)
        self.cache = PrefixCache(2, self.context.holds, keeps_state=keeps_state)
        warmth = Warmth(tuple(A), (), StateFile(file))
        self.storage = Storage(self.context, facts, self.cache, Shelf(0), warmth)

    def run(self, prompt: list[int], scales: tuple[float, ...] = ()) -> int:
        """Compute `prompt`; returns how much of it was there."""
        self.storage.fetch(prompt, scales)
        start = self.cache.acquire(prompt, scales)
        if start.copy_from is not None:
            self.context.keep_prefix(start.slot, 0)
            self.context.copy_prefix(start.copy_from, start.slot, start.reuse)
        else:
            self.context.keep_prefix(start.slot, start.reuse)
        while self.context.used() + len(prompt) - start.reuse > self.context.n_ctx:
            assert self.storage.evict()
        self.context.decode([BatchItem(start.slot, start.reuse, tuple(prompt[start.reuse :]), 1)], scales)
        self.cache.computed(start.slot, prompt[start.reuse :])
        self.cache.release(start.slot)
        assert [[token for token, _ in held] for held in self.context.held] == [
            list(self.cache.tokens(slot)) for slot in range(2)
        ]
        return start.reuse


def test_it_is_there_again_and_again(tmp_path: Path) -> None:
    pool = Pool(tmp_path / "state")
    assert pool.run([*A, 1]) == 40
    assert pool.run([*B, *B, *B[:10]]) == 0, "which leaves no room for anything else"
    assert pool.run([*A[:36], 1, 2]) == 36
    assert pool.run([*B, *B, *B[:10]]) == 0
    assert pool.run([*A, 1]) == 40


def test_others_do_not_get_it(tmp_path: Path) -> None:
    assert Pool(tmp_path / "state").run([*B, 1]) == 0
    assert Pool(tmp_path / "state").run([*A, 1], (0.5,)) == 0
    assert Pool(tmp_path / "state").run([*A[:20], 1]) == 0, "not worth it"


def test_a_state_is_taken_as_a_whole(tmp_path: Path) -> None:
    assert Pool(tmp_path / "state", keeps_state=True).run([*A, 1]) == 40
    assert Pool(tmp_path / "state", keeps_state=True).run([*A[:36], 1, 2]) == 0
    assert Pool(tmp_path / "state", keeps_state=True).run(A) == 0


def test_a_file_that_is_of_no_use_is_looked_at_once(tmp_path: Path) -> None:
    pool = Pool(tmp_path / "state")
    (tmp_path / "state").write_text("no numbers")
    assert pool.run([*A, 1]) == 0
    (tmp_path / "state").unlink()
    assert pool.run([*B, 1]) == 0
    assert json.dumps(list(pool.cache.tokens(0))), "the pool is as it was"
