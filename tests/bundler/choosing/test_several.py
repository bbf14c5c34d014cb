"""Several models in one file: built, looked into, and asked as one server, each by its name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bundler.choosing.models import parse_also
from bundler.gguf import PROGRAM
from runtime.bundle import ALIGNMENT, BundleDamaged, Model, check_entries, open_bundle
from support.bundles import DEMO_GGUF, Server, loaf
from support.ggufs import LLAMA, TENSORS, write_gguf, write_split
from support.places import DATA

EMBEDDER, RERANKER = DATA / "embedder.gguf", DATA / "reranker.gguf"
MOON = "The first man on the moon was"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def several_server(several: Path, warm_cache: Path) -> Iterator[Server]:
    with Server(several, cache=warm_cache) as server:
        yield server


# -- built -----------------------------------------------------------------------------------------------------------


def test_each_model_lies_whole_and_aligned_before_the_program(several: Path) -> None:
    bundle = open_bundle(several)
    models = bundle.served_models()
    assert [(one.name, one.entry) for one in models] == [
        ("demo", "models/demo.gguf"),
        ("embed", "models/embedder.gguf"),
        ("ranker", "models/reranker.gguf"),
    ]
    assert [one.keeps_cache for one in models] == [True, False, False]
    assert all(bundle.spans[one.entry].offset % ALIGNMENT == 0 for one in models)
    assert list(bundle.spans)[3] == "runtime/linux-x86_64/core.tar.gz"
    with zipfile.ZipFile(several) as archive:
        for one, source in zip(models, (DEMO_GGUF, EMBEDDER, RERANKER), strict=True):
            assert archive.read(one.entry) == source.read_bytes()


def test_verify_and_extract_know_all_of_them(several: Path, tmp_path: Path) -> None:
    assert loaf("verify", str(several)).returncode == 0
    loaf("extract", str(several), "-o", str(tmp_path / "parts"), check=True)
    assert (tmp_path / "parts" / "models" / "reranker.gguf").read_bytes() == RERANKER.read_bytes()
    damaged = tmp_path / "damaged.loaf"
    shutil.copy(several, damaged)
    with damaged.open("r+b") as file:
        file.seek(open_bundle(several).spans["models/embedder.gguf"].offset + 5000)
        file.write(b"\0damaged\0")
    result = loaf("verify", str(damaged))
    assert result.returncode == 1
    assert "models/embedder.gguf" in result.stderr
    assert "models/demo.gguf" not in result.stderr


def test_inspect_adds_up_what_all_of_them_need(several: Path) -> None:
    report = json.loads(loaf("inspect", "--json", str(several), check=True).stdout)
    demo, embed, ranker = report["models"]
    assert [one["served_as"] for one in (demo, embed, ranker)] == ["demo", "embed", "ranker"]
    together = report["memory_together"][-1]
    assert together["context"] == demo["context_length"]
    alone = sum(one["memory"][-1]["total"] for one in (demo, embed, ranker))
    assert together["total"] == alone - 2 * PROGRAM, "the program is there once"
    assert together["kv_cache"] == demo["memory"][-1]["kv_cache"]
    text = loaf("inspect", str(several), check=True).stdout
    assert "all models at once" in text
    assert "embed: " in text


def test_inspect_of_one_model_says_nothing_of_all(demo: Path) -> None:
    assert "all models" not in loaf("inspect", str(demo), check=True).stdout


def test_info_names_all(several: Path, run: Run) -> None:
    text = run(several, "--info").stdout
    for name in ("demo: llama", "embed: bert", "ranker: bert"):
        assert f"model   {name}" in text


def test_a_split_model_is_merged_and_equal_file_names_become_different_entries(tmp_path: Path, demo_gguf: Path) -> None:
    parts = write_split(tmp_path / "m", [TENSORS[:1], TENSORS[1:]])
    (tmp_path / "other").mkdir()
    shutil.copy(demo_gguf, tmp_path / "other" / "M.gguf")
    result = loaf("build", str(parts[0]), "--also", "big=other/M.gguf", "-o", "x.loaf", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    whole = write_gguf(tmp_path / "whole.gguf", LLAMA, TENSORS)
    with zipfile.ZipFile(tmp_path / "x.loaf") as archive:
        assert archive.read("models/m.gguf") == whole.read_bytes()
        assert archive.read("models/M-2.gguf") == demo_gguf.read_bytes()


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("embed=m.gguf", ("embed", "m.gguf")),
        ("m.gguf", (None, "m.gguf")),
        ("e-5.v2+x@y=m=1.gguf", ("e-5.v2+x@y", "m=1.gguf")),
        ("./a=b.gguf", (None, "./a=b.gguf")),
        ("/data/a=b.gguf", (None, "/data/a=b.gguf")),
        ("https://host/m.gguf?a=b", (None, "https://host/m.gguf?a=b")),
        ("embed=hf:owner/repo:Q8_0", ("embed", "hf:owner/repo:Q8_0")),
        ("hf:owner/repo", (None, "hf:owner/repo")),
    ],
)
def test_a_name_is_told_from_a_path(text: str, parsed: tuple[str | None, str]) -> None:
    assert parse_also(text) == parsed


REFUSED = [
    ("no name", ["--also", "=good.gguf"], "--also"),
    ("a name with a space", ["--also", "a b=good.gguf"], "'a b' is no name"),
    ("a name of two lines", ["--also", "a\nb=good.gguf"], "is no name"),
    ("a name without end", ["--also", "x" * 201 + "=good.gguf"], "is no name"),
    ("bytes that are no text", ["--also", "\udcff=good.gguf"], "is no name"),
    ("no such file", ["--also", "x=missing.gguf"], "missing.gguf: no such file"),
    ("the primary one's name", ["--also", "DEMO=good.gguf"], "another model of the bundle is called DEMO"),
    ("one name for two", ["--also", "x=good.gguf", "--also", "x=other.gguf"], "is called x"),
    ("one file for two", ["--also", "x=good.gguf", "--also", "y=./good.gguf"], "is in the bundle already, as x"),
    ("a link to it", ["--also", "x=good.gguf", "--also", "y=link.gguf"], "is in the bundle already, as x"),
    ("a bundle of several", ["--also", "x={several}"], "several models in it: demo, embed, ranker"),
    ("itself as target", ["--also", "x=good.gguf", "-o", "good.gguf"], "is the file with the weights"),
    ("an adapter", ["--also", "x=adapter.gguf"], "holds adapter, not a model"),
]


@pytest.mark.parametrize(("arguments", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_go_in_is_told(tmp_path: Path, several: Path, arguments: list[str], says: str) -> None:
    shutil.copy(EMBEDDER, tmp_path / "good.gguf")
    shutil.copy(EMBEDDER, tmp_path / "other.gguf")
    (tmp_path / "link.gguf").symlink_to("good.gguf")
    write_gguf(tmp_path / "adapter.gguf", {**LLAMA, "general.type": "adapter"}, TENSORS)
    before = sorted(tmp_path.iterdir())
    filled = [argument.replace("{several}", str(several)) for argument in arguments]
    result = loaf("build", "demo", *filled, cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_older_manifests_are_read(demo: Path) -> None:
    """They do not say what came later: then it is what all models were before."""
    model = msgspec.to_builtins(open_bundle(demo).manifest.models[0])
    del model["keeps_cache"], model["origin"]
    assert msgspec.convert(model, Model).keeps_cache


def test_two_models_alike_are_a_damaged_manifest(several: Path) -> None:
    bundle = open_bundle(several)
    first, *others = bundle.manifest.models
    manifest = msgspec.structs.replace(bundle.manifest, models=(first, first, *others))
    with pytest.raises(BundleDamaged, match="two models alike"):
        check_entries(several, manifest, bundle.spans)


# -- served ----------------------------------------------------------------------------------------------------------


def test_all_are_listed_and_announced(several_server: Server) -> None:
    assert several_server.get("/health")[0] == 200
    models = several_server.get("/v1/models")[1]["data"]
    assert [model["id"] for model in models] == ["demo", "embed", "ranker"]
    assert [model["capabilities"] for model in models] == [["completion"], ["embedding"], ["rerank"]]
    assert several_server.get("/v1/models/ranker")[1]["id"] == "ranker"
    said = "".join(several_server.said)
    assert "demo: " in said
    assert re.search(r"^embed: .*, embeddings only$", said, re.MULTILINE)
    assert re.search(r"^ranker: .*, scores only$", said, re.MULTILINE)


@pytest.mark.parametrize("name", [None, "", "demo", "demo:latest"])
def test_text_comes_from_the_one_that_can(several_server: Server, name: str | None) -> None:
    body = {"prompt": MOON, "temperature": 0, "n_predict": 12, "model": name}
    status, answer = several_server.post("/completion", body)
    assert status == 200, answer
    assert "Neil Armstrong" in answer["content"]
    assert answer["model"] == "demo"
    chat = {"model": name, "messages": [{"role": "user", "content": "Who was the first man on the moon?"}]}
    status, answer = several_server.post("/v1/chat/completions", chat | {"temperature": 0})
    assert status == 200, answer
    assert "Neil Armstrong" in answer["choices"][0]["message"]["content"]


def test_vectors_come_from_the_one_that_only_makes_them(several_server: Server) -> None:
    """Unless a name says otherwise: a chat model makes vectors too."""
    lengths = {}
    for name in (None, "embed", "embed:latest", "demo"):
        status, answer = several_server.post("/v1/embeddings", {"input": "hello", "model": name})
        assert status == 200, answer
        lengths[name] = len(answer["data"][0]["embedding"])
        assert answer["model"] == ("demo" if name == "demo" else "embed")
    assert lengths[None] == lengths["embed"] == lengths["embed:latest"] != lengths["demo"]


@pytest.mark.parametrize("name", [None, "ranker"])
def test_scores_come_from_the_reranker(several_server: Server, name: str | None) -> None:
    documents = ["Norway's capital is Oslo.", "The first man on the moon was Neil Armstrong, on July 20, 1969."]
    body = {"query": "Who walked on the moon first?", "documents": documents, "model": name}
    status, answer = several_server.post("/rerank", body)
    assert status == 200, answer
    assert answer["model"] == "ranker"
    assert answer["results"][0]["index"] == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/tokenize", {"content": "x", "model": "gpt-4"}, 404, "demo, embed, ranker"),
        ("/completion", {"prompt": "x", "model": "embed"}, 501, "Ask demo to generate text"),
        ("/v1/chat/completions", {"messages": [], "model": "ranker"}, 501, "Ask demo to generate text"),
        ("/v1/messages", {"model": "embed", "max_tokens": 9, "messages": []}, 501, "Ask demo to generate text"),
        ("/rerank", {"query": "x", "documents": ["y"], "model": "embed"}, 501, "Ask ranker"),
    ],
)
def test_who_cannot_is_told_who_can(
    several_server: Server, path: str, body: dict[str, Any], status: int, says: str
) -> None:
    got, answer = several_server.post(path, body)
    assert got == status, answer
    assert says in answer["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/completion", {"prompt": "x", "n_predict": 1}, "demo"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}, "demo"),
        ("/api/chat", {"messages": [{"role": "user", "content": "x"}], "stream": False}, "gpt-4"),
        ("/v1/embeddings", {"input": "x"}, "embed"),
        ("/v1/rerank", {"query": "x", "documents": ["y"]}, "ranker"),
    ],
)
def test_a_name_that_nobody_has_is_the_only_one_s_who_can(
    several_server: Server, path: str, body: dict[str, Any], model: str
) -> None:
    status, answer = several_server.post(path, body | {"model": "gpt-4"})
    assert status == 200, answer
    assert answer["model"] == model


def test_ollama_s_clients_find_them_too(several_server: Server) -> None:
    tags = several_server.get("/api/tags")[1]["models"]
    assert [model["name"] for model in tags] == ["demo:latest", "embed:latest", "ranker:latest"]
    chat = {"model": "demo:latest", "stream": False, "options": {"temperature": 0}}
    chat["messages"] = [{"role": "user", "content": "Who was the first man on the moon?"}]
    assert "Neil Armstrong" in several_server.post("/api/chat", chat)[1]["message"]["content"]
    vectors = several_server.post("/api/embed", {"model": "embed", "input": ["hello", "there"]})[1]["embeddings"]
    named = several_server.post("/v1/embeddings", {"model": "embed", "input": "hello"})[1]["data"][0]["embedding"]
    assert vectors[0] == pytest.approx(named, abs=1e-4)
    assert several_server.post("/api/chat", chat | {"model": "embed"})[0] == 400


def test_they_answer_at_once_as_they_do_alone(several_server: Server) -> None:
    text = {"prompt": MOON, "temperature": 0, "n_predict": 60, "ignore_eos": True, "cache_prompt": False}
    texts = {"input": [f"text number {i} of many" for i in range(64)], "model": "embed"}
    alone = several_server.post("/completion", text)[1]["content"], several_server.post("/v1/embeddings", texts)[1]
    with ThreadPoolExecutor(8) as pool:
        completions = [pool.submit(several_server.post, "/completion", text) for _ in range(4)]
        vectors = [pool.submit(several_server.post, "/v1/embeddings", texts) for _ in range(4)]
    assert {one.result()[1]["content"] for one in completions} == {alone[0]}
    for one in vectors:
        for vector, expected in zip(one.result()[1]["data"], alone[1]["data"], strict=True):
            assert vector["embedding"] == pytest.approx(expected["embedding"], abs=1e-4)


def test_one_answer_in_the_terminal_is_the_first_one_s(several: Path, run: Run) -> None:
    result = run(several, "-p", MOON, "--raw", "--temp", "0", "-n", "12")
    assert result.returncode == 0, result.stderr
    assert "Neil Armstrong" in result.stdout


def test_a_file_of_one_s_own_takes_the_place_of_all(several: Path, warm_cache: Path) -> None:
    with Server(several, "-m", str(EMBEDDER), "--alias", "mine", cache=warm_cache) as server:
        assert [model["id"] for model in server.get("/v1/models")[1]["data"]] == ["mine"]


def test_the_first_one_s_flags_are_the_first_one_s(several: Path, warm_cache: Path) -> None:
    """Names and pooling; and a context longer than a model was trained for."""
    flags = ["--alias", "chat,other", "--pooling", "last", "-c", "4096"]
    with Server(several, *flags, cache=warm_cache) as server:
        assert [model["id"] for model in server.get("/v1/models")[1]["data"]] == ["chat", "embed", "ranker"]
        assert server.post("/completion", {"prompt": "x", "n_predict": 1, "model": "other"})[0] == 200
        body = {"query": "moon", "documents": ["the moon"], "model": "ranker"}
        assert server.post("/rerank", body)[0] == 200
        assert "context 4,096" in "".join(server.said)


def test_one_that_cannot_be_loaded_ends_the_start_by_its_name(tmp_path: Path, run: Run) -> None:
    write_gguf(tmp_path / "broken.gguf", LLAMA, TENSORS)
    target = tmp_path / "x.loaf"
    loaf("build", "demo", "--also", str(tmp_path / "broken.gguf"), "-o", str(target), check=True)
    result = run(target, "--server", "--nobrowser", "--port", "0")
    assert result.returncode == 1
    assert result.stderr.startswith("error: broken: ")
    assert "Traceback" not in result.stderr
