"""Pulling from a real OCI registry (Debian's docker-registry), which holds a model as Ollama lays it out."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.progress import SilentProgress
from bundler.sources import resolve
from support.bundles import clean_environment
from support.stores import ollama_model, sha256

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of an empty registry."""
    if shutil.which("docker-registry") is None:
        pytest.skip("needs docker-registry: install the package docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = tmp_path / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "registry")}}
    config.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": address}}))
    process = subprocess.Popen(
        ["docker-registry", "serve", str(config)],
        env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(f"http://{address}/v2/", process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_a_model_is_pulled(registry: str, demo_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    manifest, parts = ollama_model(demo_gguf.read_bytes(), system="Answer.", params='{"temperature": 0.5}')
    config = b"{}"
    manifest |= {"mediaType": MANIFEST, "config": {"mediaType": "x", "digest": f"sha256:{sha256(config)}", "size": 2}}
    for digest, data in (parts | {f"sha256:{sha256(config)}": config}).items():
        _push(registry, digest, data)
    url = f"{registry}/v2/library/tiny/manifests/1b"
    _request("PUT", url, json.dumps(manifest).encode(), {"Content-Type": MANIFEST})

    found = resolve(f"ollama:{registry}/library/tiny:1b", SilentProgress())
    assert found.path.read_bytes() == demo_gguf.read_bytes()
    assert (found.name, found.baked.system, found.baked.args) == ("tiny-1b", "Answer.", "--temp 0.5")


def _push(registry: str, digest: str, data: bytes) -> None:
    """The two steps of the distribution protocol."""
    headers = _request("POST", f"{registry}/v2/library/tiny/blobs/uploads/", b"", {})
    place = headers["Location"]
    _request("PUT", f"{place}&digest={digest}", data, {"Content-Type": "application/octet-stream"})


def _request(method: str, url: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return dict(answer.headers)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the registry does not answer")
