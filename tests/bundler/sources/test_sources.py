"""Where weights come from: paths, folders, archives, and other programs' stores, laid out as they lay them out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.bundles import loaf
from support.splitting import split_in_two
from support.stores import in_store, ollama_model, put, sha256
from support.web import Site, serving

from bundler.errors import DigestMismatch, DownloadFailed, SourceAmbiguous, SourceError, SourceNotFound
from bundler.file.baked import Part
from bundler.progress import SilentProgress
from bundler.sources import Resolved, hub, ollama
from bundler.sources import resolve as resolve_with
from bundler.sources.choosing import choose, quantization
from bundler.sources.installed import installed
from bundler.store.cache import build_cache

QUESTION = "Who was the first man on the moon?"
MACHINES_CACHE = build_cache()
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def resolve(model: str) -> Resolved:
    return resolve_with(model, SilentProgress())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, with the caches of tools below it, but for what is compiled: that stays the machine's."""
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(build_cache()))
    home = tmp_path / "home"
    home.mkdir()
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "OLLAMA_MODELS", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


def bundle_of(model: str, tmp_path: Path) -> Path:
    """A bundle of `model`, built by the real command."""
    target = tmp_path / "made.loaf"
    done = loaf("build", model, "-o", str(target))
    assert done.returncode == 0, done.stderr
    return target


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


# -- Ollama ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", ["-", ":"])
def test_a_model_in_ollama_s_store(home: Path, tmp_path: Path, demo_gguf: Path, run: Run, separator: str) -> None:
    params = json.dumps({"temperature": 0, "stop": ["<|x|>"], "num_ctx": 512})
    model = ollama_model(demo_gguf.read_bytes(), system="Answer.", params=params, template="{{ .Prompt }}")
    in_store(home / ".ollama" / "models", "registry.ollama.ai/library/tiny/latest", model, separator)
    assert (resolve("ollama:tiny").baked.args or "").split() == ["--temp", "0", "--ctx-size", "512"]
    if separator == "-":
        bundle = bundle_of("ollama:tiny", tmp_path)
        manifest = json.loads(zipfile.ZipFile(bundle).read("manifest.json"))
        assert (manifest["name"], manifest["system"]) == ("tiny", "Answer.")
        assert manifest["models"][0]["origin"] == "ollama:tiny:latest"
        assert "Neil Armstrong" in run(bundle, "-p", QUESTION, "--system", "").stdout


def test_what_comes_with_a_model_of_ollama(home: Path) -> None:
    model = ollama_model(b"GGUF", license="Do as you like.\n", adapter="GGUF a", projector="GGUF p")
    model[0]["layers"] += [layer for layer in model[0]["layers"] if layer["mediaType"].endswith("adapter")]
    in_store(home / ".ollama" / "models", "registry.ollama.ai/library/tiny/latest", model)
    baked = resolve("ollama:tiny").baked
    assert baked.license == "Do as you like."
    assert [(part.role, part.name, part.path.read_bytes()) for part in baked.parts] == [
        ("lora", "tiny-adapter", b"GGUF a"),
        ("lora", "tiny-adapter-2", b"GGUF a"),
        ("projector", "tiny-projector", b"GGUF p"),
    ]


def test_weights_that_are_not_whole_in_the_store(home: Path) -> None:
    model = ollama_model(b"GGUF whole")
    in_store(home / ".ollama" / "models", "registry.ollama.ai/library/tiny/latest", model)
    blob = next((home / ".ollama" / "models" / "blobs").iterdir())
    blob.write_bytes(b"GGUF")
    with pytest.raises(SourceNotFound, match="not whole"):
        resolve("ollama:tiny")


@pytest.mark.parametrize(
    ("text", "base", "rest"),
    [
        ("llama3.2", "https://registry.ollama.ai", ("library", "llama3.2", "latest")),
        ("llama3.2:3b", "https://registry.ollama.ai", ("library", "llama3.2", "3b")),
        ("me/mine:x", "https://registry.ollama.ai", ("me", "mine", "x")),
        ("hf.co/o/r:Q8_0", "https://hf.co", ("o", "r", "Q8_0")),
        ("http://localhost:5000/library/m", "http://localhost:5000", ("library", "m", "latest")),
    ],
)
def test_names_of_ollama(text: str, base: str, rest: tuple[str, str, str]) -> None:
    reference = ollama.parse(text)
    assert (reference.base, (reference.namespace, reference.model, reference.tag)) == (base, rest)


@pytest.mark.parametrize("text", ["", "a b", "../x", "a/../../b", "x:", "a:b:c/d"])
def test_what_is_no_name_of_ollama(text: str) -> None:
    with pytest.raises(SourceError):
        ollama.parse(text)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "cache"))
    with serving(Site()) as site:
        yield site


def test_a_pull_that_names_what_is_not_there(registry: Site) -> None:
    with pytest.raises(SourceNotFound, match="neither"):
        resolve(f"ollama:{registry.address}/library/none")
    registry.said["/v2/library/secret/manifests/latest"] = (401, {}, b"")
    with pytest.raises(SourceNotFound, match="may not be read"):
        resolve(f"ollama:{registry.address}/library/secret")
    registry.files["/v2/library/odd/manifests/latest"] = (
        b'{"layers": [{"mediaType": "x", "digest": "../y", "size": 1}]}'
    )
    with pytest.raises(SourceNotFound, match="SHA-256"):
        resolve(f"ollama:{registry.address}/library/odd")


def test_a_pull_of_wrong_bytes(registry: Site) -> None:
    manifest, parts = ollama_model(b"GGUF right")
    registry.json("/v2/library/bad/manifests/latest", manifest)
    registry.files |= {f"/v2/library/bad/blobs/{digest}": b"GGUF wrong" for digest in parts}
    with pytest.raises(DigestMismatch):
        resolve(f"ollama:{registry.address}/library/bad")


# -- Hugging Face's hub ---------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def on_hub(site: Site, files: dict[str, bytes], repo: str = "o/r") -> None:
    """A repository as the hub's HTTP has it: its list, and each file behind a redirect."""
    siblings = [
        {"rfilename": name, "size": len(data), "lfs": {"sha256": sha256(data), "size": len(data), "pointerSize": 1}}
        for name, data in files.items()
    ]
    listing = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}
    for path in (f"/api/models/{repo}", f"/api/models/{repo}/revision/main", f"/api/models/{repo}/revision/v1"):
        site.json(path, listing)
    for name, data, revision in ((name, data, revision) for name, data in files.items() for revision in ("main", "v1")):
        path = f"/{repo}/resolve/{revision}/{name}"
        site.files[f"/cdn/{name}"] = data
        site.moved[path] = f"{site.address}/cdn/{name}".replace("127.0.0.1", "localhost")  # another host, as there
        site.headers[path] = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{sha256(data)}"',
            "X-Linked-Size": str(len(data)),
        }


@pytest.fixture
def hub_site(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A hub of our own, and huggingface_hub told so in processes to come."""
    with serving(Site()) as site:
        monkeypatch.setenv("HF_ENDPOINT", site.address)
        monkeypatch.setenv("HF_HOME", str(home / "hf"))
        yield site


def hub_resolve(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: huggingface_hub reads its environment when it is imported."""
    code = (
        "import sys; from bundler.progress import SilentProgress; from bundler.sources import resolve\n"
        "from runtime.exits import errors_as_exit_codes\n"
        "with errors_as_exit_codes():\n"
        "    found = resolve(sys.argv[1], SilentProgress())\n"
        "    print(found.path); print(found.name); print(found.sha256); print(found.origin)\n"
        "    for part in found.baked.parts: print(part.role, part.name)\n"
    )
    command = [sys.executable, "-c", code, text]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def test_a_model_of_the_hub_answers(hub_site: Site, tmp_path: Path, demo_gguf: Path, run: Run) -> None:
    on_hub(hub_site, {"demo-Q8_0.gguf": demo_gguf.read_bytes(), "demo-Q4_0.gguf": b"GGUF", "README.md": b"# x"})
    bundle = bundle_of("hf:o/r:q8_0@v1", tmp_path)
    assert json.loads(zipfile.ZipFile(bundle).read("manifest.json"))["models"][0]["origin"] == (
        f"hf:o/r:demo-Q8_0.gguf@{COMMIT}"
    )
    assert "Neil Armstrong" in run(bundle, "-p", QUESTION).stdout


def test_parts_are_found_by_themselves(hub_site: Site) -> None:
    files = {f"big/m-0000{i}-of-00003.gguf": b"GGUF" + bytes([i]) for i in (1, 2, 3)}
    on_hub(hub_site, files)
    done = hub_resolve("hf:o/r")
    assert done.returncode == 0, done.stderr
    path, name, digest, _origin = done.stdout.splitlines()
    assert (name, digest) == ("m", "None")
    assert sorted(one.name for one in Path(path).parent.iterdir()) == [Path(one).name for one in sorted(files)]


def test_a_projector_comes_along(hub_site: Site, home: Path) -> None:
    """The one in F16 of the same folder; also where only the hub's cache is asked."""
    names = ["m-Q8_0.gguf", "mmproj-m-Q8_0.gguf", "mmproj-m-F16.gguf", "mmproj-m-f32.gguf", "other/mmproj-x-F16.gguf"]
    on_hub(hub_site, {name: b"GGUF" + name.encode() for name in names})
    for offline in ("0", "1"):
        done = hub_resolve("hf:o/r", HF_HUB_OFFLINE=offline)
        assert done.stdout.splitlines()[-1] == "projector mmproj-m-F16", done.stderr
    fetched = {path.name for path in (home / "hf").rglob("*.gguf")}
    assert fetched == {"m-Q8_0.gguf", "mmproj-m-F16.gguf"}


def test_what_is_here_is_not_fetched_again(hub_site: Site) -> None:
    on_hub(hub_site, {"m.gguf": b"GGUF" * 100})
    first = hub_resolve("hf:o/r")
    hub_site.asked.clear()
    assert hub_resolve("hf:o/r").stdout == first.stdout
    assert {path.split("/")[1] for _method, path, _range in hub_site.asked} == {"api", "o"}, "it was fetched again"
    assert not [path for _method, path, _range in hub_site.asked if "harness" in path], "more was told than was asked"
    hub_site.files.clear()
    offline = hub_resolve("hf:o/r", HF_HUB_OFFLINE="1")
    assert offline.stdout.splitlines()[0] == first.stdout.splitlines()[0], offline.stderr


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("GatedRepo", 403, "agreed to a licence"),
        ("RepoNotFound", 401, "no such repository"),
        ("RevisionNotFound", 404, "no such revision"),
        ("", 403, "hf auth login"),
        ("", 429, "too many requests"),
        ("", 500, "answers 500"),
    ],
)
def test_what_the_hub_refuses(hub_site: Site, code: str, status: int, words: str) -> None:
    hub_site.said["/api/models/o/r"] = (status, {"X-Error-Code": code} if code else {}, b"{}")
    done = hub_resolve("hf:o/r")
    assert done.returncode == 1
    assert words in done.stderr


def test_no_hub_and_nothing_here() -> None:
    done = hub_resolve("hf:o/r", HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert (done.returncode, "cannot be reached" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("text", ["", "alone", "a/b/c", "a/b:", "a/b@", "../b", "a b/c"])
def test_what_is_no_name_of_a_repository(text: str) -> None:
    with pytest.raises(SourceNotFound):
        hub.parse(text)


# -- GPT4All, LM Studio, addresses ------------------------------------------------------------------------------


def test_what_gpt4all_has(home: Path, tmp_path: Path, demo_gguf: Path, run: Run) -> None:
    folder = home / ".local" / "share" / "nomic.ai" / "GPT4All"
    put(folder / "Demo-1.Q8_0.gguf", demo_gguf.read_bytes())
    put(folder / "Demo-2.Q4_0.gguf")
    with pytest.raises(SourceAmbiguous):
        resolve("gpt4all:demo")
    with pytest.raises(SourceNotFound):
        resolve("gpt4all:other")
    bundle = bundle_of("gpt4all:Demo-1", tmp_path)
    assert "Neil Armstrong" in run(bundle, "-p", QUESTION).stdout


def test_other_places_answer_too(
    home: Path, registry: Site, tmp_path: Path, demo_gguf: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of LM Studio's, a split model, an address, a pull. What is downloaded goes into a cache of its own."""
    cache = tmp_path / "other cache"
    cache.mkdir(mode=0o700)
    for kind in ("wheel", "environment", "runtime", "program"):
        (cache / kind).symlink_to(MACHINES_CACHE / kind)
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(cache))
    registry.files["/demo.gguf"] = demo_gguf.read_bytes()
    manifest, parts = ollama_model(demo_gguf.read_bytes(), system="Answer.")
    registry.json("/v2/library/demo/manifests/latest", manifest)
    registry.files |= {f"/v2/library/demo/blobs/{digest}": data for digest, data in parts.items()}
    folder = put(home / ".lmstudio" / "models" / "o" / "r" / "demo.gguf", demo_gguf.read_bytes()).parent
    split = split_in_two(demo_gguf, tmp_path / "halves")
    for model in (folder, split, f"{registry.address}/demo.gguf", f"ollama:{registry.address}/library/demo"):
        assert "Neil Armstrong" in run(bundle_of(str(model), tmp_path), "-p", QUESTION).stdout, model


def test_an_address(registry: Site, demo_gguf: Path) -> None:
    registry.files["/m.Q8_0.gguf"] = demo_gguf.read_bytes()
    found = resolve(f"{registry.address}/m.Q8_0.gguf?token=secret")
    assert found.path.read_bytes() == demo_gguf.read_bytes()
    assert (found.name.endswith("m.Q8_0"), found.origin) == (True, f"{registry.address}/m.Q8_0.gguf")
    with pytest.raises(SourceNotFound, match=r"\.gguf"):
        resolve(f"{registry.address}/page.html")
    with pytest.raises((SourceNotFound, DownloadFailed)):
        resolve(f"{registry.address}/none.gguf")


def test_the_list_of_what_is_here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    assert installed() == []
    in_store(home / ".ollama" / "models", "registry.ollama.ai/library/tiny/3b", ollama_model(b"GGUF12"))
    put(home / ".local" / "share" / "nomic.ai" / "GPT4All" / "g.gguf")
    put(home / ".lmstudio" / "models" / "o" / "r" / "l.gguf")
    put(home / "hub" / "models--o--r" / "snapshots" / COMMIT / "h.gguf")
    put(home / ".ollama" / "models" / "manifests" / "registry.ollama.ai" / "library" / "odd" / "x", b"not json")
    found = {Path(one.spec).name: one.size for one in installed()}
    assert found == {"ollama:tiny:3b": 6, "gpt4all:g": 4, "l.gguf": 4, "h.gguf": 4}
