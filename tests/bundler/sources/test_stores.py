"""Weights from other programs' stores, laid out as they lay them out: Ollama's, GPT4All's, LM Studio's."""

from __future__ import annotations

import json
import socket
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from huggingface_hub import constants

from bundler.cli import loaf
from bundler.errors import DigestMismatch, DownloadFailed, SourceAmbiguous, SourceError, SourceNotFound
from bundler.sources import ollama
from bundler.sources.installed import installed
from bundler.store.cache import build_cache
from support.bundles import Run
from support.sources import QUESTION, bundle_of, resolve
from support.splitting import split_in_two
from support.stores import COMMIT, in_store, ollama_model, put
from support.web import Site

MACHINES_CACHE = build_cache()


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


def test_a_pull_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as taken:  # nobody listens here
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(DownloadFailed, match="refused"):
            resolve(f"ollama:http://127.0.0.1:{taken.getsockname()[1]}/library/tiny")


def test_a_pull_of_wrong_bytes(registry: Site) -> None:
    manifest, parts = ollama_model(b"GGUF right")
    registry.json("/v2/library/bad/manifests/latest", manifest)
    registry.files |= {f"/v2/library/bad/blobs/{digest}": b"GGUF wrong" for digest in parts}
    with pytest.raises(DigestMismatch):
        resolve(f"ollama:{registry.address}/library/bad")


# -- the others -----------------------------------------------------------------------------------------------


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
    for kind in MACHINES_CACHE.iterdir():
        if kind.is_dir() and kind.name != "downloads":  # what takes minutes to make
            (cache / kind.name).symlink_to(kind)
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(cache))
    registry.files["/demo.gguf"] = demo_gguf.read_bytes()
    manifest, parts = ollama_model(demo_gguf.read_bytes(), system="Answer.")
    registry.json("/v2/library/demo/manifests/latest", manifest)
    registry.files |= {f"/v2/library/demo/blobs/{digest}": data for digest, data in parts.items()}
    folder = put(home / ".lmstudio" / "models" / "o" / "r" / "demo.gguf", demo_gguf.read_bytes()).parent
    split = split_in_two(demo_gguf, tmp_path / "halves")
    for model in (folder, split, f"{registry.address}/demo.gguf", f"ollama:{registry.address}/library/demo"):
        assert "Neil Armstrong" in run(bundle_of(str(model), tmp_path), "-p", QUESTION).stdout, model


def test_nothing_is_here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    said = CliRunner().invoke(loaf, ["models"]).output
    assert "Looked for in" in said
    assert str(home / ".ollama" / "models") in said
    assert "loaf build" in said


def test_the_list_of_what_is_here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    assert installed() == []
    in_store(home / ".ollama" / "models", "registry.ollama.ai/library/tiny/3b", ollama_model(b"GGUF12"))
    put(home / ".local" / "share" / "nomic.ai" / "GPT4All" / "g.gguf")
    put(home / ".lmstudio" / "models" / "o" / "r" / "l.gguf")
    put(home / "hub" / "models--o--r" / "snapshots" / COMMIT / "h.gguf")
    put(home / ".ollama" / "models" / "manifests" / "registry.ollama.ai" / "library" / "odd" / "x", b"not json")
    found = {Path(one.spec).name: one.size for one in installed()}
    assert found == {"ollama:tiny:3b": 6, "gpt4all:g": 4, "l.gguf": 4, "h.gguf": 4}
