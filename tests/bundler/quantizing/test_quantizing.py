"""`loaf build --quantize`: weights made smaller by llama.cpp, from every source, or left as they were."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from support.bundles import ROOT, loaf
from support.ggufs import gguf_bytes
from support.places import BENCHMARKS

from bundler.asking.program import unpacked_program
from bundler.errors import (
    AnotherDigest,
    ImportanceMissing,
    ImportanceUnusable,
    NoRoom,
    NoSuchFileType,
    QuantizedAlready,
    QuantizingFailed,
    SourceChanged,
)
from bundler.freeze import freeze_runtime
from bundler.gguf import read_gguf
from bundler.gguf.types import FILE_TYPES
from bundler.making.build import BuildRequest, Built, build
from bundler.making.planning import planned_runtime
from bundler.progress import SilentProgress
from bundler.quantizing import Quantization, find_file_type
from bundler.quantizing import quantize as quantizing
from bundler.quantizing.child import Said, run_quantizer
from bundler.quantizing.plan import quantized_size
from runtime.bundle import Manifest, open_bundle
from runtime.engine.llama.quantizing import QuantizeRequest

sys.path.append(str(BENCHMARKS))

from shapes import Llama
from sizing import sizes
from support.importances import Entry, Floats, gguf_matrix, legacy_matrix
from support.splitting import split_in_two
from vocabularies import sentence_pieces
from weights import F16, Q8_0, write_noise
from weights import Quantization as Blocks

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def write_model(path: Path, blocks: Blocks = F16, layers: int = 2) -> Path:
    """A model that goes on with the alphabet, whatever is lost of its weights."""
    shape = Llama(layers=layers, width=256, hidden=512, heads=4, kv_heads=2, counts=True)
    write_noise(path, shape, sentence_pieces(512), blocks)
    return path


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.9 MB in F16. Read-only."""
    return write_model(tmp_path_factory.mktemp("half") / "alphabet-F16.gguf")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A bundle to be, in a folder of its own."""
    folder = tmp_path / "made"
    folder.mkdir()
    return folder / "made.loaf"


def made(model: Path | str, target: Path, file_type: str = "Q4_K_M", sha256: str | None = None, **how: object) -> Built:
    quantization = Quantization(find_file_type(file_type), **how)  # type: ignore[arg-type]
    request = BuildRequest(str(model), output=target, quantization=quantization, sha256=sha256)
    return build(request, lambda: freeze_runtime(SilentProgress()), SilentProgress())


def manifest_of(bundle: Path) -> Manifest:
    return open_bundle(bundle).manifest


def weights_of(bundle: Path) -> bytes:
    opened = open_bundle(bundle)
    span = opened.spans[opened.manifest.models[0].entry]
    return bundle.read_bytes()[span.offset : span.offset + span.size]


def test_a_smaller_model_says_the_same(half: Path, tmp_path: Path, run: Run) -> None:
    result = loaf("build", str(half), "--quantize", "q4_k", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Quantized: 2.9 MB of F16 are now 905.8 kB of Q4_K_M." in result.stderr
    bundle = tmp_path / "alphabet-Q4_K_M.loaf"
    model = manifest_of(bundle).models[0]
    assert (model.name, model.entry) == ("alphabet-Q4_K_M", "models/alphabet-Q4_K_M.gguf")
    assert model.quantization == "Q4_K_M"
    assert model.origin == "noise, quantized to Q4_K_M by llama-cpp-python 0.3.36"
    assert run(bundle, "--raw", "-p", "aa", "--temp", "0", "-n", "6").stdout.strip() == "bcdefg"
    assert f"from               {model.origin}" in loaf("inspect", str(bundle)).stdout
    assert loaf("verify", str(bundle)).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == [bundle.name]


def test_other_threads_make_the_same_bytes(half: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.loaf", tmp_path / "other.loaf"
    made(half, one)
    first = min(os.sched_getaffinity(0))
    loaf_command = [str(Path(sys.executable).with_name("loaf")), "build", str(half), "--quantize", "Q4_K_M"]
    subprocess.run(["taskset", "-c", str(first), *loaf_command, "-o", other], check=True, capture_output=True)
    assert one.read_bytes() == other.read_bytes()


def test_every_source_gives_the_same_weights(half: Path, tmp_path: Path, target: Path) -> None:
    made(half, target)
    wanted = weights_of(target)
    first_part = split_in_two(half, tmp_path / "alphabet-F16")
    whole = tmp_path / "whole.loaf"
    loaf("build", str(half), "-o", str(whole), "--args", "--temp 0", check=True)
    for source in (first_part, whole):
        made(source, target)
        assert weights_of(target) == wanted
    assert open_bundle(target).args.strip() == "--temp 0", "what is baked in is kept"


def test_what_it_is_called() -> None:
    wanted = Quantization(find_file_type("Q8_0"))
    names = {
        "Llama-3.2-1B-Instruct-F16": "Llama-3.2-1B-Instruct-Q8_0",
        "llama3.2-3b-instruct-fp16": "llama3.2-3b-instruct-Q8_0",
        "model.BF16": "model.Q8_0",
        "gemma-UD-Q4_K_XL": "gemma-Q8_0",
        "demo": "demo-Q8_0",
        "F16": "F16-Q8_0",
        "GIQ4-7B": "GIQ4-7B-Q8_0",
    }
    assert {name: wanted.name_of(name) for name in names} == names


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Q4_K_M", 15), ("q4_k_m", 15), ("q4-k-m", 15), ("Q4_K", 15), ("Q5_K", 17), ("q3_k", 12), ("MXFP4_MOE", 38),
        ("fp16", 1),
    ],
)  # fmt: skip
def test_names(written: str, meant: int) -> None:
    assert find_file_type(written).id == meant


NO_NAMES = [("Q4KM", "Q4_K_M"), ("Q4_K_XXL", "Q4_K_S"), ("NVFP4", "MXFP4"), ("zzz", None), ("", None)]


@pytest.mark.parametrize(("written", "near"), NO_NAMES)
def test_no_names(written: str, near: str | None) -> None:
    with pytest.raises(NoSuchFileType) as raised:
        find_file_type(written)
    assert raised.value.near == near


def test_a_name_that_is_none_is_a_wrong_command_line(target: Path) -> None:
    result = loaf("build", "demo", "-o", str(target), "--quantize", "Q4KM")
    assert result.returncode == 2
    assert "no quantization 'Q4KM'; Q4_K_M is the nearest" in result.stderr
    for lonely in (["--imatrix", "x"], ["--allow-requantize"]):
        assert "go with --quantize" in loaf("build", "demo", "-o", str(target), *lonely).stderr


def test_llama_cpp_knows_every_name(half: Path) -> None:
    """In one process of their own: the library's log goes to standard error in it."""
    ask = (
        "import json, msgspec, sys\n"
        "from runtime.engine.llama.quantizer import quantize\n"
        "from runtime.engine.llama.quantizing import QuantizeRequest\n"
        "ask = lambda id: QuantizeRequest(sys.argv[1], '/dev/null', id, 1, dry_run=True)\n"
        "print(json.dumps({id: quantize(ask(id)) for id in json.loads(sys.argv[2])}))\n"
    )
    known = {id_: name for id_, name in FILE_TYPES.items() if not _is_unknown(name)}
    command = [sys.executable, "-c", ask, str(half), json.dumps([*FILE_TYPES])]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert {int(id_) for id_, is_made in answer.items() if is_made} == set(known)


def _is_unknown(name: str) -> bool:
    try:
        find_file_type(name)
    except NoSuchFileType:
        return True
    return False


def test_what_is_foretold_is_what_is_made(half: Path, target: Path) -> None:
    model = read_gguf(half)
    said: list[Said] = []
    program = unpacked_program(planned_runtime(freeze_runtime(SilentProgress()))[0])
    request = QuantizeRequest(str(half), "/dev/null", find_file_type("Q5_K_M").id, 1, dry_run=True)
    run_quantizer(program, request, "it", said.append)
    built = made(half, target, "Q5_K_M")
    assert len(said) == len(model.tensors)
    # The number of the quantization's version is one key more.
    assert 0 <= built.weights_size - quantized_size(model, said) <= 96


def test_the_readme_s_table_is_what_llama_cpp_says() -> None:
    table = CliRunner().invoke(sizes).stdout
    assert table.count("\n") == 8
    assert table in (ROOT / "README.md").read_text()


def test_quantized_weights_are_refused_unless_that_is_meant(target: Path, tmp_path: Path, run: Run) -> None:
    before = write_model(tmp_path / "alphabet-Q8_0.gguf", Q8_0)
    with pytest.raises(QuantizedAlready) as raised:
        made(before, target)
    assert (raised.value.model, raised.value.has) == (str(before), "Q8_0")
    assert "--allow-requantize" in raised.value.hint
    made(before, target, requantize=True)
    assert manifest_of(target).models[0].quantization == "Q4_K_M"
    assert run(target, "--raw", "-p", "aa", "--temp", "0", "-n", "6").stdout.strip() == "bcdefg"


def test_what_is_so_already_stays(target: Path, tmp_path: Path) -> None:
    before = write_model(tmp_path / "alphabet-Q8_0.gguf", Q8_0)
    made(before, target, "Q8_0")
    assert weights_of(target) == before.read_bytes()
    assert manifest_of(target).models[0].origin == ""


def test_the_first_of_several_is_meant(half: Path, target: Path) -> None:
    result = loaf("build", str(half), "--quantize", "Q8_0", "--also", f"as-it-was={half}", "-o", str(target))
    assert "is in the bundle already" in result.stderr, "before anything is quantized"
    result = loaf("build", str(half), "--quantize", "Q8_0", "--also", "demo", "-o", str(target))
    assert result.returncode == 0, result.stderr
    assert [model.quantization for model in manifest_of(target).models] == ["Q8_0", "Q8_0"]
    assert [model.name for model in manifest_of(target).models] == ["alphabet-Q8_0", "demo"]


def test_in_a_recipe(half: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    tensors = [entry for entry in ENTRIES if entry.name.startswith("blk.")]
    (tmp_path / "m.imatrix").write_bytes(gguf_matrix(tensors))
    recipe.write_text(f'model = "{half}"\nquantize = "Q4_K_M"\nimatrix = "m.imatrix"\noutput = "x.loaf"\n')
    result = loaf("build", "-f", str(recipe), cwd=half.parent)
    assert result.returncode == 0, result.stderr
    assert "with the importance matrix m.imatrix (SHA-256 " in manifest_of(tmp_path / "x.loaf").models[0].origin
    recipe.write_text(f'model = "{half}"\n\nquantize = "Q4KM"\n')
    assert "recipe.toml:3: quantize: there is no quantization" in loaf("build", "-f", str(recipe)).stderr


ENTRIES = [
    Entry(f"blk.{layer}.{name}.weight", width, [4.0])
    for layer in range(2)
    for name, width in (
        ("attn_q", 256), ("attn_k", 256), ("attn_v", 256), ("attn_output", 256),
        ("ffn_gate", 256), ("ffn_up", 256), ("ffn_down", 512),
    )
]  # fmt: skip
"""An importance matrix for the model above, as it is made of 4 texts."""


def test_importance_in_both_formats(half: Path, target: Path, tmp_path: Path) -> None:
    made(half, target, "IQ3_S")
    without = weights_of(target)
    matrices = {"m.dat": legacy_matrix(ENTRIES), "m.gguf": gguf_matrix(ENTRIES)}
    found = []
    for name, content in matrices.items():
        (tmp_path / name).write_bytes(content)
        made(half, target, "IQ3_S", importance=tmp_path / name)
        found.append(weights_of(target))
    assert found[0] == found[1] != without
    made(half, target, "IQ2_XXS", importance=tmp_path / "m.gguf")
    assert manifest_of(target).models[0].quantization == "IQ2_XXS"


def test_importance_is_asked_for_where_it_is_needed(half: Path, target: Path, tmp_path: Path) -> None:
    for file_type in ("IQ2_XXS", "IQ1_S", "Q2_K_S"):
        with pytest.raises(ImportanceMissing) as raised:
            made(half, target, file_type)
        assert "--imatrix" in raised.value.hint
    (tmp_path / "m.dat").write_bytes(legacy_matrix([entry for entry in ENTRIES if "ffn_up" not in entry.name]))
    with pytest.raises(ImportanceMissing) as raised:
        made(half, target, "IQ2_XXS", importance=tmp_path / "m.dat")
    assert raised.value.tensor == "blk.0.ffn_up.weight"
    assert list(target.parent.iterdir()) == []


GOOD = ENTRIES[0]
MISFIT = gguf_bytes({}, [Floats("x.in_sum2", (2, 2), values=[1.0] * 4), Floats("x.counts", (3,), values=[1.0] * 3)])
UNUSABLE: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "as llama-imatrix writes"),
    ("a text", b"# What is this?\n", "as llama-imatrix writes"),
    ("no entries", struct.pack("<i", 0), "as llama-imatrix writes"),
    ("fewer entries than it says", struct.pack("<i", 2) + legacy_matrix([GOOD])[4:], "cut short"),
    ("cut in a name", legacy_matrix([GOOD])[:14], "cut short"),
    ("cut in the numbers", legacy_matrix([GOOD])[:-100], "cut short"),
    ("a name without an end", struct.pack("<ii", 1, 2**31 - 1), "as llama-imatrix writes"),
    ("a negative length", struct.pack("<ii", 1, -1), "as llama-imatrix writes"),
    ("of another size", legacy_matrix([Entry(GOOD.name, 128, [4.0])]), "128 numbers for"),
    ("of another model", legacy_matrix([Entry("blk.7.attn_q.weight", 256, [4.0])]), "nothing for any tensor"),
    ("not a number", legacy_matrix([Entry(GOOD.name, 256, [4.0], float("nan"))]), "are no numbers"),
    ("endless", gguf_matrix([Entry(GOOD.name, 256, [4.0], float("inf"))]), "are no numbers"),
    ("a GGUF of another kind", gguf_matrix([GOOD]).replace(b".in_sum2", b".in_sum3"), "nothing for any tensor"),
    ("without counts", gguf_matrix([GOOD]).replace(b".counts", b".xounts"), "as llama-imatrix writes"),
    ("counts that do not fit", MISFIT, "do not fit"),
]


@pytest.mark.parametrize(("content", "says"), [row[1:] for row in UNUSABLE], ids=[row[0] for row in UNUSABLE])
def test_what_is_no_importance_matrix(half: Path, tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "m.dat"
    path.write_bytes(content)
    with pytest.raises(ImportanceUnusable) as raised, (tmp_path / "means").open("wb") as file:
        quantizing.write_means(path, quantizing.sizes_wanted(read_gguf(half)), file)
    assert says in raised.value.problem


def test_experts_that_were_never_used_count_like_others(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_matrix([Entry("x", 2, [4.0, 0.0])]))
    with (tmp_path / "means").open("w+b") as file:
        assert quantizing.write_means(path, {"x": 4}, file) == (("x", 4),)
        file.seek(0)
        assert struct.unpack("<4f", file.read()) == (1.0, 2.0, 1.0, 1.0)


def test_the_wrong_weights_are_not_quantized(half: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bundler.making.build.quantized", None)
    with pytest.raises(AnotherDigest):
        made(half, target, sha256="0" * 64)


def test_room_is_needed_twice(half: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizing.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=1_500_000))
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
