"""A bundle that sees and hears: its projector used where it lies, and what that needs in the file only with it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import openai
import pytest

from runtime.bundle import open_bundle
from support.bundles import Server, clean_environment, loaf
from support.hearing_projectors import CELLS_OF_HALF_A_MINUTE, seeing_too
from support.pictures import base64_of, data_uri, png, written
from support.pictures import drawn as picture
from support.projectors import llava
from support.small_bundles import HERE
from support.sounds import FORMS, tone
from support.sounds import written as written_sound


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeing")
    projector = seeing_too(folder / "mmproj-tiny.gguf", 192)
    loaf("build", "demo", f"--platform={HERE}", "--mmproj", str(projector), "-o", str(folder / "x.loaf"), check=True)
    return folder / "x.loaf"


def body(uri: str) -> dict[str, object]:
    parts = [{"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": "What is it?"}]
    return {"temperature": 0, "max_tokens": 8, "messages": [{"role": "user", "content": parts}]}


def test_only_a_bundle_with_a_projector_has_what_pictures_and_sounds_need(seeing: Path, demo: Path) -> None:
    plain, sees = open_bundle(demo), open_bundle(seeing)
    assert (plain.manifest.media, len(sees.manifest.media)) == ((), 1)
    core = {entry.name: entry.sha256 for entry in plain.manifest.entries if "core" in entry.name}
    assert core == {entry.name: entry.sha256 for entry in sees.manifest.entries if "core" in entry.name}
    (pack,) = sees.manifest.media
    assert {package.name for package in pack.packages} == {"pillow", "soundfile"}
    assert loaf("verify", str(seeing)).returncode == 0


def test_it_is_said_what_is_in_it(seeing: Path) -> None:
    told = loaf("inspect", str(seeing), check=True).stdout
    assert "mmproj-tiny, with which the model sees and hears" in told
    assert f"on {HERE}" in told
    (model,) = json.loads(loaf("inspect", "--json", str(seeing), check=True).stdout)["models"]
    need, projector = model["memory"][0], seeing.with_name("mmproj-tiny.gguf")
    assert need["projector"] == projector.stat().st_size
    assert need.pop("total") == sum(need.values()) - need["context"]
    assert re.search(r"memory at .*projector \d", told)


def test_it_sees(seeing: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with Server(seeing, cache=cache) as server:
        said = set()
        for uri in (data_uri(png("red")), data_uri(written(picture(), "WEBP", lossless=True), "image/webp"),
                    data_uri(written(picture(), "AVIF", quality=90), "image/avif")):  # fmt: skip
            status, told = server.post("/v1/chat/completions", body(uri))
            assert status == 200, told
            said.add(told["choices"][0]["message"]["content"])
        _status, props = server.get("/props")
        assert props["modalities"]["vision"]
    assert said
    assert len(list(cache.glob("media-*"))) == 1


def test_it_hears(seeing: Path, tmp_path: Path) -> None:
    """Every kind of file, with the decoders of the pack."""
    with Server(seeing, cache=tmp_path / "cache") as server:
        for form in FORMS:
            sound = {"data": base64_of(written_sound(tone(1, rate=48_000), form, 48_000)), "format": "wav"}
            parts = [{"type": "input_audio", "input_audio": sound}, {"type": "text", "text": "What is it?"}]
            asked = {"max_tokens": 4, "messages": [{"role": "user", "content": parts}]}
            status, told = server.post("/v1/chat/completions", asked)
            assert status == 200, (form, told)
            assert told["usage"]["prompt_tokens"] > CELLS_OF_HALF_A_MINUTE
        _status, props = server.get("/props")
        assert props["modalities"]["audio"]
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
            done = client.audio.transcriptions.create(file=("a.ogg", written_sound(tone(), "opus")), model="whisper-1")
            assert isinstance(done.text, str)


def test_without_its_projector_it_is_a_text_model(seeing: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with Server(seeing, "--no-mmproj", cache=cache) as server:
        status, told = server.post("/v1/chat/completions", body(data_uri(png())))
        assert (status, "takes text only" in json.dumps(told)) == (400, True)
    assert list(cache.glob("media-*")) == []


def test_a_bundle_without_the_pack_says_what_to_do(demo: Path, tmp_path: Path) -> None:
    projector = llava(tmp_path / "p.gguf", 192)
    command, cache = [demo, "-p", "x", "--mmproj", projector], clean_environment(tmp_path / "cache")
    done = subprocess.run(command, env=cache, capture_output=True, text=True)
    assert (done.returncode, "no pack for pictures" in done.stderr) == (1, True)
