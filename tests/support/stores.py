"""Models in the stores of other programs, laid out as those lay them out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


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
