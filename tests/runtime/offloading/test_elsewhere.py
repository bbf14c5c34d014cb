"""What flags put elsewhere than its layer is there, on a worker and on the processor: told by llama.cpp's own log."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.mixtures import write_mixture
from support.places import ROOT

PROGRAM = [sys.executable, "-m", "runtime"]
EXPERT_BYTES = 3 * 32 * 64 * 4 * 4
"""Of one layer: three matrices of four experts, in F32."""


@pytest.fixture(scope="module")
def worker() -> Iterator[str]:
    process = subprocess.Popen(
        [*PROGRAM, "--worker", "--port", "0", "-t", "1"],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        match = re.match(r"Worker on (\S+):", process.stderr.readline())
        assert match
        yield match[1]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("models") / "mixture.gguf")


def run(model: Path, worker: str, folder: Path, *flags: str) -> tuple[str, dict[str, float], str]:
    """What is said, {what is where: MiB}, and what is said of it."""
    log = folder / "log"
    told = subprocess.run(
        [*PROGRAM, "-m", model, "--rpc", worker, "--log-file", log, "-p", "moon", "--raw", "-n", "8", "--temp", "0",
         "-c", "512", "-t", "1", *flags],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, errors="replace",
    )  # fmt: skip
    sizes = re.findall(r"(CPU|RPC0)\S* (model|KV) buffer size = +([\d.]+) MiB", log.read_text() if log.exists() else "")
    return told.stdout, {f"{kind} {place}": float(size) for place, kind, size in sizes}, told.stderr


def test_what_is_said_is_the_same_wherever_the_parts_are(mixture: Path, worker: str, tmp_path: Path) -> None:
    said, all_there, _ = run(mixture, worker, tmp_path, "-ngl", "all")
    layer = pytest.approx(EXPERT_BYTES / 2**20, abs=0.011)
    for flags, moved in (
        (["--n-cpu-moe", "1"], layer),
        (["--cpu-moe"], pytest.approx(2 * EXPERT_BYTES / 2**20, abs=0.011)),
        (["-ot", r"blk\.1\.ffn_.*_exps=CPU"], layer),
        (["-ot", r"blk\.1\.ffn_up_exps=CPU,blk\.1\.ffn_(gate|down)_exps=CPU"], layer),
    ):
        (tmp_path / "log").unlink()
        again, parts, _ = run(mixture, worker, tmp_path, "-ngl", "all", *flags)
        assert again == said, flags
        assert all_there["model RPC0"] - parts["model RPC0"] == moved, flags
    (tmp_path / "log").unlink()
    again, parts, _ = run(mixture, worker, tmp_path, "-ngl", "all", "--no-kv-offload")
    assert again == said
    assert "KV RPC0" in all_there
    assert "KV CPU" in parts
    assert "KV RPC0" not in parts


def test_what_is_left_to_others_is(mixture: Path, worker: str, tmp_path: Path) -> None:
    _, parts, _ = run(mixture, worker, tmp_path, "--fit-target", "16777216")
    assert "model RPC0" not in parts


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["-ot", "a=Nowhere"], r"--override-tensor: there is no Nowhere\nThere are: CPU, RPC0\["),
        (["--fit-target", "1,2,3"], "3 margins for 1 in use"),
    ],
)
def test_what_is_not_there(mixture: Path, worker: str, tmp_path: Path, flags: list[str], says: str) -> None:
    assert re.search(says, run(mixture, worker, tmp_path, *flags)[2])
