"""States of sequences in llama.cpp itself, on the demo model: kept in files and in memory, refused unless whole."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.engine.backend import BatchItem
from runtime.engine.errors import StateFailed
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.context import Context
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings, LoadSettings
from runtime.engine.states import PartialState, SavedSequence, StateFile
from runtime.engine.weights import Weights
from support.llama_runs import PROMPT, go_on, tokens_of


def test_a_restored_state_goes_on_as_the_saved_one_would_have(
    backend: LlamaBackend, context: Context, tmp_path: Path
) -> None:
    prompt = tokens_of(backend, PROMPT)
    said = go_on(context, 0, 0, prompt, 5)
    held = (*prompt, *said[:-1])
    size = context.save(0, SavedSequence(held), tmp_path / "state")
    assert size == (tmp_path / "state").stat().st_size
    assert list(tmp_path.iterdir()) == [tmp_path / "state"], "nothing is left beside it"
    expected = go_on(context, 0, len(held), (said[-1],), 5)
    (tmp_path / "within").write_bytes(bytes(65536) + (tmp_path / "state").read_bytes() + b"more")
    for slot, file in ((2, StateFile(tmp_path / "state")), (1, StateFile(tmp_path / "within", 65536, size))):
        assert context.saved_tokens(file) == held
        assert context.restore(slot, file).tokens == held
    context.keep_prefix(1, 0)
    assert context.holds(2, len(held))
    assert go_on(context, 2, len(held), (said[-1],), 5) == expected


def test_a_state_kept_in_memory_goes_on_too(backend: LlamaBackend, context: Context) -> None:
    prompt = tokens_of(backend, PROMPT)
    said = go_on(context, 0, 0, prompt, 5)
    held = len(prompt) + 4
    state = context.state(0)
    assert state is not None
    assert len(state) == context.state_size(0)
    expected = go_on(context, 0, held, (said[-1],), 5)
    context.keep_prefix(0, 0)
    assert context.set_state(3, state)
    assert context.holds(3, held)
    assert go_on(context, 3, held, (said[-1],), 5) == expected
    context.keep_prefix(3, 0)
    for slot in range(3):
        length = (context.n_ctx - held // 2) // 3
        for begin in range(0, length, 100):
            context.decode([BatchItem(slot, begin, (1,) * min(100, length - begin), 0)], ())
    assert not context.set_state(3, state), "there is no room for it"


def test_what_can_be_gone_back_to_comes_back(backend: LlamaBackend, context: Context, tmp_path: Path) -> None:
    """Whatever it is: a model that needs nothing of the kind shows how it is written and read."""
    prompt = tokens_of(backend, PROMPT)
    go_on(context, 0, 0, prompt, 1)
    path = tmp_path / "state"
    parts = tuple(PartialState(length, memoryview(bytes([length]) * 100 * length)) for length in (1, 3, len(prompt)))
    assert context.save(0, SavedSequence(prompt, parts), path) == path.stat().st_size
    assert context.saved_checkpoints(StateFile(path)) == (1, 3, len(prompt))
    saved = context.restore(1, StateFile(path))
    assert saved.tokens == prompt
    assert [(one.length, bytes(one.state)) for one in saved.checkpoints] == [
        (one.length, bytes(one.state)) for one in parts
    ]
    context.keep_prefix(1, 0)
    whole = path.read_bytes()
    for odd in (whole[:-1], whole[:-150], whole + bytes(12), whole + bytes(40), whole[:-400] + bytes(400)):
        path.write_bytes(odd)
        with pytest.raises(StateFailed):
            _read(context, path)


def test_a_damaged_state_is_refused(backend: LlamaBackend, context: Context, tmp_path: Path) -> None:
    prompt = tokens_of(backend, PROMPT)
    go_on(context, 0, 0, prompt, 1)
    context.save(0, SavedSequence(prompt), tmp_path / "state")
    whole = (tmp_path / "state").read_bytes()
    cut = [whole[:size] for size in (0, 3, 8, 40, 83, 84, 90, len(whole) // 2, len(whole) - 1)]
    changed = [whole[:place] + b"\xff\xfe" + whole[place + 2 :] for place in (0, 10, 50, 72, 76, 90, len(whole) - 9)]
    for content in (*cut, *changed, whole + b"more"):
        (tmp_path / "odd").write_bytes(content)
        with pytest.raises(StateFailed):
            _read(context, tmp_path / "odd")
    context.keep_prefix(1, 0)
    assert context.restore(1, StateFile(tmp_path / "state")).tokens == prompt, "the pool is as it was"


def _read(context: Context, path: Path) -> None:
    context.saved_tokens(StateFile(path))
    context.restore(1, StateFile(path))


def test_a_state_of_another_model_is_refused(
    backend: LlamaBackend, context: Context, tmp_path: Path, demo_gguf: Path
) -> None:
    prompt = tokens_of(backend, PROMPT)
    go_on(context, 0, 0, prompt, 1)
    context.save(0, SavedSequence(prompt), tmp_path / "state")
    model = load_model(Weights(demo_gguf), LoadSettings(), threading.Event())
    other = LlamaBackend(model, ContextSettings(512, 1, 128, 64, 1, cache_type_k="q8_0"))
    try:
        assert other.generator is not None
        with pytest.raises(StateFailed, match="another model, or other cache types"):
            other.generator.restore(0, StateFile(tmp_path / "state"))
    finally:
        other.close()


def test_a_state_that_cannot_be_written_says_so(backend: LlamaBackend, context: Context, tmp_path: Path) -> None:
    prompt = tokens_of(backend, PROMPT)
    go_on(context, 0, 0, prompt, 1)
    with pytest.raises(FileNotFoundError):
        context.save(0, SavedSequence(prompt), tmp_path / "no" / "folder")
    assert list(tmp_path.iterdir()) == []


def other_end(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.with_name("elsewhere").write_bytes(b"LOAFKV1\n")
    path.symlink_to(path.with_name("elsewhere"))


def door(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


NO_FILES = [other_end, link, door, Path.mkdir]


@pytest.mark.parametrize("make", NO_FILES, ids=["a pipe", "a link", "a socket", "a folder"])
def test_what_is_no_file_is_refused_at_once(context: Context, tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Whoever opens a pipe waits until somebody writes into it."""
    make(tmp_path / "state")
    with pytest.raises(StateFailed, match="is not a file"):
        context.saved_tokens(StateFile(tmp_path / "state"))
    with pytest.raises(StateFailed, match="is not a file"):
        context.restore(0, StateFile(tmp_path / "state"))


@pytest.mark.parametrize("make", [other_end, link], ids=["a pipe", "a link"])
def test_saving_replaces_it_with_a_file_of_its_owners_alone(
    backend: LlamaBackend, context: Context, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    prompt = tokens_of(backend, PROMPT)
    go_on(context, 0, 0, prompt, 1)
    make(tmp_path / "state")
    before = os.umask(0)
    try:
        context.save(0, SavedSequence(prompt), tmp_path / "state")
    finally:
        os.umask(before)
    assert not (tmp_path / "state").is_symlink()
    assert stat.S_IMODE((tmp_path / "state").lstat().st_mode) == 0o600
    assert context.saved_tokens(StateFile(tmp_path / "state")) == prompt
