"""`loaf build --quantize`: weights made smaller by llama.cpp, from every source, or left as they were."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bundler.asking.program import unpacked_program
from bundler.errors import NoSuchFileType, QuantizedAlready
from bundler.gguf import read_gguf
from bundler.gguf.types import FILE_TYPES
from bundler.programs import MadeHere
from bundler.progress import SilentProgress
from bundler.quantizing import Quantization, find_file_type
from bundler.quantizing.child import Said, run_quantizer
from bundler.quantizing.plan import quantized_size
from runtime.bundle import open_bundle
from runtime.engine.llama.quantizing import QuantizeRequest
from support.bundles import Run, loaf
from support.importances import gguf_matrix
from support.places import BENCHMARKS, ROOT
from support.quantizing import ENTRIES, made, manifest_of, weights_of, write_model
from support.splitting import split_in_two

sys.path.append(str(BENCHMARKS))

from sizing import sizes
from weights import Q8_0


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
    program = unpacked_program(MadeHere(SilentProgress()).runtimes().programs[0])
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
