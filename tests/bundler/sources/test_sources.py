"""Where weights come from: paths, folders, archives, addresses; and which is meant where there are several."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from bundler.errors import DownloadFailed, SourceAmbiguous, SourceNotFound
from bundler.file.baked import Part
from bundler.sources import Resolved
from bundler.sources.choosing import choose, quantization
from support.bundles import Run, loaf
from support.sources import QUESTION, bundle_of, resolve
from support.stores import in_store, ollama_model, put
from support.web import Site

# -- paths ----------------------------------------------------------------------------------------------------


def test_a_folder_with_one_model(tmp_path: Path) -> None:
    put(tmp_path / "mmproj-x.gguf")
    put(tmp_path / "deep" / "m-00002-of-00002.gguf")
    first = put(tmp_path / "deep" / "m-00001-of-00002.gguf")
    put(tmp_path / "x.imatrix.gguf")
    assert resolve(str(tmp_path)) == Resolved(first, "m")


def test_a_folder_with_several_says_which(tmp_path: Path) -> None:
    put(tmp_path / "a.gguf")
    put(tmp_path / "b.gguf", b"GGUF" * 10)
    with pytest.raises(SourceAmbiguous) as caught:
        resolve(str(tmp_path))
    assert [(Path(choice.spec).name, choice.size) for choice in caught.value.choices] == [("a.gguf", 4), ("b.gguf", 40)]
    assert str(tmp_path / "b.gguf") in str(caught.value)


def test_a_folder_with_very_many_lists_some(tmp_path: Path) -> None:
    for number in range(25):
        put(tmp_path / f"{number:02}.gguf")
    with pytest.raises(SourceAmbiguous, match="could be any of 25") as caught:
        resolve(str(tmp_path))
    hint = str(caught.value.hint).splitlines()
    assert (len(hint), hint[-1]) == (22, "  and 5 more")


def test_a_projector_in_the_folder_comes_along(tmp_path: Path) -> None:
    """As LM Studio keeps it beside the model."""
    model, projector = put(tmp_path / "o" / "r" / "m.gguf"), put(tmp_path / "o" / "r" / "mmproj-m-F16.gguf")
    assert resolve(str(tmp_path / "o")).baked.parts == (Part("projector", projector, "mmproj-m-F16"),)
    assert resolve(str(model)).baked.parts == (), "a file is that file"


def test_an_empty_folder_and_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"no \.gguf"):
        resolve(str(tmp_path))
    with pytest.raises(SourceNotFound, match="no such file"):
        resolve("nothing.gguf")


def test_a_path_with_a_colon_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = put(tmp_path / "hf:x.gguf")
    assert resolve("hf:x.gguf").path.resolve() == path.resolve()


# -- archives -------------------------------------------------------------------------------------------------


def test_a_bundle_of_a_bundle(tmp_path: Path, demo_gguf: Path) -> None:
    first = tmp_path / "first.loaf"
    loaf("build", "demo", "-o", str(first), "--args", "--temp 0", "--system", "Be brief.", check=True)
    second = bundle_of(str(first), tmp_path)
    assert zipfile.ZipFile(second).read("models/demo.gguf") == demo_gguf.read_bytes()
    assert zipfile.ZipFile(second).read(".args") == b"--temp 0"
    assert json.loads(zipfile.ZipFile(second).read("manifest.json"))["system"] == "Be brief."


def test_where_weights_are_from_is_kept(home: Path, tmp_path: Path, demo_gguf: Path) -> None:
    model = ollama_model(demo_gguf.read_bytes())
    in_store(home / ".ollama" / "models", "registry.ollama.ai/library/tiny/latest", model)
    first = bundle_of("ollama:tiny", tmp_path).rename(tmp_path / "first.loaf")
    assert resolve(str(first)).origin == "ollama:tiny:latest"


def test_a_bundle_that_is_damaged_is_not_copied(demo: Path, tmp_path: Path) -> None:
    data = bytearray(demo.read_bytes())
    data[200_000] ^= 1
    damaged = put(tmp_path / "damaged.loaf", bytes(data))
    done = loaf("build", str(damaged), "-o", str(tmp_path / "new.loaf"))
    assert done.returncode == 1
    assert "damaged" in done.stderr
    assert not (tmp_path / "new.loaf").exists()


def test_a_llamafile_is_taken_over(tmp_path: Path, demo_gguf: Path, run: Run) -> None:
    program = put(tmp_path / "old.llamafile", b"MZqFpD='\n" + b"\0" * 5000)
    with zipfile.ZipFile(program, "a") as archive:
        archive.writestr(zipfile.ZipInfo("other.gguf"), b"GGUF")
        archive.write(demo_gguf, "demo.Q8_0.gguf")
        archive.writestr(".args", "-m\n/zip/demo.Q8_0.gguf\n--temp\n0\n...\n")
    assert resolve(str(program)).name == "demo.Q8_0"
    bundle = bundle_of(str(program), tmp_path)
    assert zipfile.ZipFile(bundle).read(".args").split() == [b"--temp", b"0", b"..."]
    assert "Neil Armstrong" in run(bundle, "-p", QUESTION).stdout


def test_a_llamafile_s_projector_comes_along(tmp_path: Path) -> None:
    program = put(tmp_path / "old.llamafile", b"MZqFpD='\n")
    with zipfile.ZipFile(program, "a") as archive:
        for name, data in (("m.gguf", b"GGUF m"), ("mmproj-m.gguf", b"GGUF of a projector")):
            archive.writestr(zipfile.ZipInfo(name), data)
        archive.writestr(".args", "-m m.gguf --mmproj /zip/mmproj-m.gguf --temp 0")
    found = resolve(str(program))
    (part,) = found.baked.parts
    assert (found.name, found.baked.args, part.role, part.name) == ("m", "--temp 0", "projector", "mmproj-m")
    assert part.size is not None
    assert program.read_bytes()[part.offset : part.offset + part.size] == b"GGUF of a projector"


def test_a_llamafile_without_weights(tmp_path: Path) -> None:
    program = put(tmp_path / "empty.llamafile", b"MZqFpD='\n")
    with zipfile.ZipFile(program, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("packed.gguf", b"GGUF" * 1000)
    with pytest.raises(SourceNotFound, match="no weights"):
        resolve(str(program))


MEANT = [
    ("Qwen/Qwen2.5-1.5B-Instruct-GGUF", "Did you mean hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF?"),
    ("Qwen/Qwen3-0.6B-GGUF:Q8_0", "Did you mean hf:Qwen/Qwen3-0.6B-GGUF:Q8_0?"),
    ("llama3", "Did you mean ollama:llama3? "),
    ("llama3.2:1b", "Did you mean ollama:llama3.2:1b? "),
    ("model.gguf", "Name a .gguf file"),
    ("models/model.gguf", "Name a .gguf file"),
    ("./models/model", "Name a .gguf file"),
    ("/models/model", "Name a .gguf file"),
    ("here/model", "Name a .gguf file"),
]


@pytest.mark.parametrize(("model", "told"), MEANT)
def test_what_is_meant_by_a_name_that_is_no_file(
    model: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceNotFound) as raised:
        resolve(model)
    assert raised.value.hint.startswith(told)


# -- addresses ------------------------------------------------------------------------------------------------


def test_an_address(registry: Site, demo_gguf: Path) -> None:
    registry.files["/m.Q8_0.gguf"] = demo_gguf.read_bytes()
    found = resolve(f"{registry.address}/m.Q8_0.gguf?token=secret")
    assert found.path.read_bytes() == demo_gguf.read_bytes()
    assert (found.name.endswith("m.Q8_0"), found.origin) == (True, f"{registry.address}/m.Q8_0.gguf")
    with pytest.raises(SourceNotFound, match=r"\.gguf"):
        resolve(f"{registry.address}/page.html")
    with pytest.raises((SourceNotFound, DownloadFailed)):
        resolve(f"{registry.address}/none.gguf")


def test_an_address_is_looked_at_without_fetching(registry: Site, demo_gguf: Path) -> None:
    registry.files["/m.gguf"] = demo_gguf.read_bytes()
    address = f"{registry.address}/m.gguf"
    told = loaf("inspect", f"{address}?token=secret")
    size = f"{demo_gguf.stat().st_size / 1e6:.1f} MB"
    assert (told.returncode, told.stdout.split()) == (0, [f"{address}?token=secret:", *size.split(), address])
    resolve(address)
    assert "parameters" in loaf("inspect", address).stdout, "what is here is looked into"
    missing = loaf("inspect", f"{registry.address}/none.gguf")
    assert (missing.returncode, "there is no such file" in missing.stderr) == (1, True)
    page = loaf("inspect", f"{registry.address}/page.html")
    assert (page.returncode, "does not end in .gguf" in page.stderr) == (1, True)


# -- choosing -------------------------------------------------------------------------------------------------

NAMES = {"m-Q4_K_M.gguf": 4, "m-Q8_0.gguf": 8, "m-IQ4_XS.gguf": 3, "sub/m-BF16-00001-of-00002.gguf": 16}


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("Q4_K_M", "m-Q4_K_M.gguf"),
        ("q8_0", "m-Q8_0.gguf"),
        ("m-Q8_0.gguf", "m-Q8_0.gguf"),
        ("bf16", "sub/m-BF16-00001-of-00002.gguf"),
        ("sub/", "sub/m-BF16-00001-of-00002.gguf"),
    ],
)
def test_what_a_selector_means(selector: str, chosen: str) -> None:
    assert choose(NAMES, selector, str) == chosen


def test_what_no_selector_means() -> None:
    with pytest.raises(SourceAmbiguous) as caught:
        choose(NAMES, "", lambda selector: f"hf:o/r:{selector}")
    assert {choice.spec for choice in caught.value.choices} == {
        f"hf:o/r:{name}" for name in ("Q4_K_M", "Q8_0", "IQ4_XS", "BF16")
    }
    with pytest.raises(SourceNotFound, match="Q2_K"):
        choose(NAMES, "Q2_K", str)
    with pytest.raises(SourceNotFound, match="no GGUF"):
        choose({}, "", str)
    assert choose({"only.gguf": 1}, "", str) == "only.gguf"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a-Q4_K_M.gguf", "Q4_K_M"), ("a.IQ2_XXS.gguf", "IQ2_XXS"), ("a-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"), ("a.gguf", "")],
)
def test_the_quantization_in_a_name(name: str, expected: str) -> None:
    assert quantization(name) == expected
