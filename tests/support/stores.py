"""Models in the stores of other programs, laid out as those lay them out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from support.web import Site

COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""What each branch of `on_hub` is at."""


def put(path: Path, data: bytes = b"GGUF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ollama_model(weights: bytes, **texts: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A manifest and the parts it names, by their digests."""
    parts = {"model": weights, **{kind: text.encode() for kind, text in texts.items()}}
    layers = [
        {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{sha256(data)}", "size": len(data)}
        for kind, data in parts.items()
    ]
    return {"schemaVersion": 2, "layers": layers}, {f"sha256:{sha256(data)}": data for data in parts.values()}


def in_store(store: Path, name: str, model: tuple[dict[str, Any], dict[str, bytes]], separator: str = "-") -> None:
    put(store / "manifests" / name, json.dumps(model[0]).encode())
    for digest, data in model[1].items():
        put(store / "blobs" / digest.replace(":", separator), data)


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
