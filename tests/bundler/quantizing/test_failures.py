"""What stops a quantization: wrong weights, no room, a quantizer that ends, a signal; and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from bundler.errors import AnotherDigest, NoRoom, QuantizingFailed, SourceChanged
from bundler.quantizing import quantize as quantizing
from bundler.quantizing.child import Said, run_quantizer
from runtime.engine.llama.quantizing import QuantizeRequest
from support.quantizing import made, write_model


def test_the_wrong_weights_are_not_quantized(half: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bundler.making.build.quantized", None)
    with pytest.raises(AnotherDigest):
        made(half, target, sha256="0" * 64)


def test_room_is_needed_twice(half: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bundler.file.target.shutil.disk_usage", lambda _folder: SimpleNamespace(free=1_500_000))
    with pytest.raises(NoRoom) as raised:
        made(half, target)
    assert 1_800_000 < raised.value.needed < 1_900_000
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_is_told_as_such(half: Path, target: Path) -> None:
    """A file may have 700 kB here, of which the result would need 900."""
    command = f"ulimit -f 700; exec {Path(sys.executable).with_name('loaf')} build {half} --quantize Q4_K_M -o {target}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert result.returncode == 1
    assert "is the disk full?" in result.stderr
    assert list(target.parent.iterdir()) == []


def test_weights_that_change_meanwhile(half: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = target.with_name("mine.gguf")
    mine.write_bytes(half.read_bytes())
    quantizer = quantizing.run_quantizer

    def run_and_touch(program: Path, request: QuantizeRequest, model: str, hear: Callable[[Said], None]) -> None:
        quantizer(program, request, model, hear)
        if not request.dry_run:
            os.utime(mine, (1, 1))

    monkeypatch.setattr(quantizing, "run_quantizer", run_and_touch)
    with pytest.raises(SourceChanged):
        made(mine, target)


CRASHES: list[tuple[str, str, str]] = [
    ("a reason", "echo 'llama_model_quantize: failed to quantize: no luck' >&2; exit 1", "no luck"),
    ("a full disk", "echo 'x: failed to quantize: basic_ios::clear: iostream error' >&2; exit 1", "is the disk full?"),
    ("a bug", "echo 'error: llama.cpp cannot go on: GGML_ASSERT(x) failed' >&2; exit 1", "GGML_ASSERT(x) failed"),
    ("a crash", "echo 'last words' >&2; kill -SEGV $$", "was ended by SIGSEGV; its last words: last words"),
    ("no memory", "kill -KILL $$", "SIGKILL (the system ends a process so when memory runs out); its last words: none"),
    ("no words", "exit 3", "exit code 3; its last words: none"),
]


@pytest.mark.parametrize(("script", "says"), [row[1:] for row in CRASHES], ids=[row[0] for row in CRASHES])
def test_the_last_words_of_a_quantizer(script: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "cache"))
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(QuantizingFailed) as raised:
        run_quantizer(program, QuantizeRequest("a", "b", 1, 1), "it", print)
    assert says in raised.value.reason
    assert raised.value.log.is_file(), "all that was said can be read"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_an_interrupted_one(number: signal.Signals, large: Path, target: Path) -> None:
    command = [Path(sys.executable).with_name("loaf"), "build", large, "--quantize", "IQ3_S", "-o", target]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    is_at_work = b'"dry_run":false'
    quantizer = _wait_for(lambda: next((pid for pid in _children(process.pid) if is_at_work in _command(pid)), 0))
    process.send_signal(number)
    assert process.wait(timeout=20) == (-number if number == signal.SIGKILL else 130)
    assert list(target.parent.iterdir()) == []
    _wait_for(lambda: not _command(quantizer))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes seconds."""
    return write_model(tmp_path_factory.mktemp("large") / "large-F16.gguf", layers=24)


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, task.read_text().split())


def _command(pid: int) -> bytes:
    """Empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _wait_for(look: Callable[[], int | bool], seconds: float = 20) -> int:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return int(found)
