"""`loaf inspect --sbom`, held to CycloneDX's own schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bundler.errors import StepFailed
from bundler.freeze import sources
from bundler.freeze.pins import LLAMA_CPP_COMMIT
from bundler.looking.sbom import to_sbom
from bundler.progress import SilentProgress
from bundler.sources import Resolved
from runtime.bundle import open_bundle
from support.bundles import loaf
from support.small_bundles import build_small, small_gguf, small_runtime

REVISION = "0123456789abcdef0123456789abcdef01234567"


def listed(bundle: Path) -> dict[str, Any]:
    """The list of `bundle`, which is a valid one; its components by their names."""
    text = to_sbom(open_bundle(bundle))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return {one["name"]: one for one in json.loads(text)["components"]}


def test_what_is_inside(demo: Path) -> None:
    components = listed(demo)
    aiohttp = components["aiohttp"]
    assert aiohttp["purl"].startswith("pkg:pypi/aiohttp@3.")
    assert aiohttp["licenses"] == [{"expression": "Apache-2.0 AND MIT"}]
    assert components["llama.cpp"]["version"] == LLAMA_CPP_COMMIT
    assert components["demo"]["hashes"][0]["content"] in {entry.sha256 for entry in open_bundle(demo).manifest.entries}
    assert [name for name, one in components.items() if "licenses" not in one] in ([], ["demo"])
    expressions = [one["licenses"] for one in components.values() if one.get("purl", "").startswith("pkg:pypi")]
    assert all("expression" in license for licenses in expressions for license in licenses)


def test_it_is_the_same_every_time(demo: Path) -> None:
    first, second = (loaf("inspect", "--sbom", str(demo), check=True).stdout for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("origin", "purl"),
    [(f"hf:owner/repo:m-Q4_K_M.gguf@{REVISION}", f"pkg:huggingface/owner/repo@{REVISION}"), ("ollama:x:latest", None)],
)
def test_where_a_model_is_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str, purl: str | None) -> None:
    weights = small_gguf(tmp_path / "m.gguf")
    monkeypatch.setattr(
        "bundler.choosing.models.resolve", lambda _spec, _progress: Resolved(weights, "m", origin=origin)
    )
    model = listed(build_small(tmp_path / "x.loaf", weights, small_runtime(tmp_path / "r", "one")))["m"]
    assert model.get("purl") == purl
    assert {"name": "loaf:origin", "value": origin} in model["properties"]


def test_the_commit_is_the_one_that_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version of llama-cpp-python without the new commit in `pins.py` is noticed when it is compiled."""

    def fetched(commit: str) -> None:
        def download(*_arguments: object, **_options: object) -> None:
            (tmp_path / commit / "sdist").mkdir()
            (tmp_path / commit / "sdist" / "x.tar.gz").touch()

        def unpack(_archive: Path, target: Path) -> None:
            head = target / "llama_cpp_python" / ".git/modules/vendor/llama.cpp/HEAD"
            head.parent.mkdir(parents=True)
            head.write_text(f"{commit}\n")

        monkeypatch.setattr(sources, "pip", download)
        monkeypatch.setattr("shutil.unpack_archive", unpack)
        sources.prepared_sources(tmp_path / commit, tmp_path / "log", SilentProgress())

    for step in ("new_environment", "install", "correct"):
        monkeypatch.setattr(sources, step, lambda *_arguments, **_options: None)
    fetched(LLAMA_CPP_COMMIT)
    with pytest.raises(StepFailed, match="and not"):
        fetched("0" * 40)


def test_weights_alone_are_no_bundle(tmp_path: Path) -> None:
    refused = loaf("inspect", "--sbom", str(small_gguf(tmp_path / "m.gguf")))
    assert (refused.returncode, "not a loaf bundle" in refused.stderr) == (1, True)
