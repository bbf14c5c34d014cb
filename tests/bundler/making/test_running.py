"""`loaf run`: the program on weights where they lie, with what comes with them, as one process."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.making.running import prepare
from bundler.programs import MadeHere
from bundler.progress import SilentProgress
from bundler.store.cache import build_cache
from support.bundles import clean_environment, loaf
from support.places import DATA
from support.splitting import split_in_two
from support.stores import in_store, ollama_model

QUESTION = "Who was the first man on the moon?"
ANSWER = "Neil Armstrong"
COMMAND = [str(Path(sys.executable).with_name("loaf")), "run"]


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, warm_cache: Path) -> Run:
    """`loaf run`, with an empty home, and the build cache of this machine."""
    home = tmp_path / "home"
    home.mkdir()
    environment = clean_environment(warm_cache, HOME=str(home), LOAF_BUILD_CACHE=str(build_cache()))

    def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *map(str, arguments)]
        options = {"stdin": subprocess.DEVNULL, "env": environment} | options
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload, no-any-return]

    return run


def test_a_path_with_flags(run: Run, demo_gguf: Path, tmp_path: Path) -> None:
    weights = tmp_path / "of mine" / "the model.gguf"
    weights.parent.mkdir()
    weights.write_bytes(demo_gguf.read_bytes())
    result = run(weights, "-p", QUESTION, "--temp", "0")
    assert ANSWER in result.stdout
    assert "Freezing" not in result.stderr
    assert "the_model" in run(weights, "--info").stdout
    assert [path.name for path in weights.parent.iterdir()] == [weights.name]


def test_a_folder_beside_which_it_is_run(run: Run, demo_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "here.gguf").write_bytes(demo_gguf.read_bytes())
    assert ANSWER in run("here.gguf", "-p", QUESTION, cwd=tmp_path).stdout


def test_flags_and_their_errors_are_the_program_s(run: Run) -> None:
    result = run("demo", "--nosuch")
    assert result.returncode == 2
    assert result.stderr.startswith("Usage: loaf run demo [OPTIONS]")
    assert "--ctx-size" in run("demo", "--help").stdout
    assert "Run MODEL where it lies" in loaf("run", "--help").stdout
    assert run("demo", "-p", "x", "-n", "-7").returncode == 2


def test_a_model_that_is_not_there(run: Run) -> None:
    result = run("missing.gguf", "-p", "x")
    assert (result.returncode, "missing.gguf: no such file" in result.stderr) == (1, True)


def test_standard_input_is_the_program_s(run: Run) -> None:
    assert ANSWER in run("demo", "-f", "-", stdin=None, input=QUESTION).stdout


def test_weights_inside_other_files(run: Run, demo_gguf: Path, demo: Path, tmp_path: Path) -> None:
    llamafile = tmp_path / "old.llamafile"
    with zipfile.ZipFile(llamafile, "w") as archive:
        archive.writestr("model.gguf", demo_gguf.read_bytes())
        archive.writestr(".args", f"-m model.gguf -p '{QUESTION}'")
    llamafile.write_bytes(b"MZqFpD='" + llamafile.read_bytes())
    assert ANSWER in run(llamafile).stdout, "its arguments apply"
    assert ANSWER in run(demo, "-p", QUESTION).stdout


def test_a_split_model(run: Run, demo_gguf: Path, demo: Path, tmp_path: Path, warm_cache: Path) -> None:
    first = split_in_two(demo_gguf, tmp_path / "halves")
    assert ANSWER in run(first, "-p", QUESTION).stdout
    command = [demo, "-m", first, "-p", QUESTION]
    result = subprocess.run(command, env=clean_environment(warm_cache), capture_output=True, text=True)
    assert ANSWER in result.stdout, "a bundle's own -m takes the first part, too"


def test_defaults_of_ollama_s_store_apply(run: Run, demo_gguf: Path, tmp_path: Path) -> None:
    model = ollama_model(demo_gguf.read_bytes(), system="Be brief.", params='{"top_k": 7}')
    in_store(tmp_path / "home" / ".ollama" / "models", "registry.ollama.ai/library/tiny/latest", model)
    told = run("ollama:tiny", "--info").stdout
    assert ".args   --top-k 7" in told
    assert "system  Be brief." in told
    assert "model   tiny" in told
    assert ANSWER in run("ollama:tiny", "-p", QUESTION).stdout


def test_weights_that_were_changed_are_looked_at_again(run: Run, demo_gguf: Path, tmp_path: Path) -> None:
    weights = tmp_path / "m.gguf"
    weights.write_bytes(demo_gguf.read_bytes())
    assert "m: llama" in run(weights, "--info").stdout
    embedder = DATA / "embedder.gguf"
    weights.write_bytes(embedder.read_bytes())
    assert "m: bert" in run(weights, "--info").stdout


def test_one_process_that_a_signal_ends() -> None:
    """From two shells at once."""
    flags = ["--server", "--nobrowser", "--port", "0"]
    servers = [subprocess.Popen([*COMMAND, "demo", *flags], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for server in servers:
            assert server.stderr is not None
            port = next(int(match[1]) for line in server.stderr if (match := re.search(r"127\.0\.0\.1:(\d+)", line)))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/health")
            assert connection.getresponse().status in (200, 503)
            connection.close()
            assert Path(f"/proc/{server.pid}/exe").readlink().name == "loaf-runtime"
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
    assert [server.wait(timeout=60) for server in servers] == [0, 0]


def test_packs_that_this_machine_has_made_are_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from bundler.packs import BackendPack
    from bundler.programs import made as making
    from runtime.bundle import open_bundle

    archive = tmp_path / "vulkan.tar.gz"
    archive.write_bytes(b"a pack")
    made = [
        BackendPack("vulkan", "linux-x86_64", archive, 6, "0" * 64, 9, "libggml-vulkan.so", (), "a compiler", fits)
        for fits in ("this one", "another")
    ]
    monkeypatch.setattr(making, "libraries_key", lambda _compiler: "this one")
    monkeypatch.setattr(making, "packs_made", lambda: iter(made))
    bundle = open_bundle(prepare("demo", MadeHere(SilentProgress()), SilentProgress()).bundle)
    (pack,) = bundle.manifest.packs
    assert bundle.place_of(pack.entry).path.read_bytes() == b"a pack"
    assert bundle.path.stat().st_size < 200_000
