"""Weights from Hugging Face's hub: found, fetched once, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.errors import SourceNotFound
from bundler.sources import hub
from support.bundles import Run
from support.sources import QUESTION, bundle_of
from support.stores import COMMIT, on_hub
from support.web import Site, serving


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
