"""A model that is small and goes on with the alphabet, and what becomes of it when `loaf build` quantizes it."""

from __future__ import annotations

import sys
from pathlib import Path

from bundler.making.build import BuildRequest, Built, build
from bundler.programs import MadeHere
from bundler.progress import SilentProgress
from bundler.quantizing import Quantization, find_file_type
from runtime.bundle import Manifest, open_bundle
from support.importances import Entry
from support.places import BENCHMARKS

sys.path.append(str(BENCHMARKS))

from shapes import Llama
from vocabularies import sentence_pieces
from weights import F16, write_noise
from weights import Quantization as Blocks


def write_model(path: Path, blocks: Blocks = F16, layers: int = 2) -> Path:
    """A model that goes on with the alphabet, whatever is lost of its weights."""
    shape = Llama(layers=layers, width=256, hidden=512, heads=4, kv_heads=2, counts=True)
    write_noise(path, shape, sentence_pieces(512), blocks)
    return path


ENTRIES = [
    Entry(f"blk.{layer}.{name}.weight", width, [4.0])
    for layer in range(2)
    for name, width in (
        ("attn_q", 256), ("attn_k", 256), ("attn_v", 256), ("attn_output", 256),
        ("ffn_gate", 256), ("ffn_up", 256), ("ffn_down", 512),
    )
]  # fmt: skip
"""An importance matrix for the model above, as it is made of 4 texts."""


def made(model: Path | str, target: Path, file_type: str = "Q4_K_M", sha256: str | None = None, **how: object) -> Built:
    quantization = Quantization(find_file_type(file_type), **how)  # type: ignore[arg-type]
    request = BuildRequest(str(model), output=target, quantization=quantization, sha256=sha256)
    return build(request, MadeHere(SilentProgress()), SilentProgress())


def manifest_of(bundle: Path) -> Manifest:
    return open_bundle(bundle).manifest


def weights_of(bundle: Path) -> bytes:
    opened = open_bundle(bundle)
    span = opened.spans[opened.manifest.models[0].entry]
    return bundle.read_bytes()[span.offset : span.offset + span.size]
