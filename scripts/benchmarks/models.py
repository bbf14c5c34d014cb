"""The models to measure with: by name, or a GGUF by its path.

    demo       the bundle's own demo: 1.9 million parameters, 1,280 tokens; a step of it is mostly overhead
    100m       a Llama of 105 million parameters that counts, Q8_0, 32,000 tokens
    1b         a Llama of 1.1 billion parameters that counts, in the shape of Llama 3.2 1B, Q4_0, 32,000 tokens
    370m       a Llama of 370 million parameters that counts, F16: too large for a processor's caches, as most are
    draft-80, draft-0   draft models for those that count: right after 4 tokens of 5, and never
    hybrid, recurrent, windows   small ones whose memory cannot be cut: `memories.py`
    mmproj-86m a projector for 100m in the form of LLaVA's, F16: its encoder is as large as CLIP's ViT-B
    bert-33m   a BERT in the shape of MiniLM-L12 and bge-small, Q8_0, 30,000 tokens

Those of noise are made anew each time, in a second or two; `shapes.py` tells what it means that a Llama counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from memories import Hybrid, Recurrent, Windows
from projectors import Llava
from shapes import Bert, Llama, Shape
from vocabularies import Vocabulary, sentence_pieces, word_pieces
from weights import F16, F32, Q4_0, Q8_0, write_noise

from bundler.gguf.header import ArrayValue
from bundler.gguf.reader import read_gguf
from bundler.progress import progress_for
from bundler.sources import resolve

FIRST_WORD = 300
"""From this token on, all tokens of the counting models are words."""


def _make_100m(path: Path) -> int:
    shape = Llama(layers=12, width=768, hidden=2048, heads=12, kv_heads=4, context=16384, counts=True)
    return write_noise(path, shape, sentence_pieces(32_000), Q8_0)


def _make_370m(path: Path) -> int:
    shape = Llama(layers=4, width=2048, hidden=8192, heads=32, kv_heads=8, context=16384, counts=True)
    return write_noise(path, shape, sentence_pieces(32_000), F16)


def _make_draft(path: Path, errs: float) -> int:
    shape = Llama(layers=1, width=128, hidden=256, heads=4, kv_heads=4, context=16384, counts=True, errs=errs)
    return write_noise(path, shape, sentence_pieces(32_000), Q8_0)


def _make_1b(path: Path) -> int:
    shape = Llama(layers=16, width=2048, hidden=8192, heads=32, kv_heads=8, context=16384, counts=True)
    return write_noise(path, shape, sentence_pieces(32_000), Q4_0)


def _make_memory(path: Path, shape: Shape) -> int:
    return write_noise(path, shape, sentence_pieces(4_000), F32)


def _make_projector(path: Path) -> int:
    return write_noise(path, Llava(out=768), Vocabulary((), 0), F16)


def _make_bert(path: Path) -> int:
    return write_noise(path, Bert(), word_pieces(30_000), Q8_0)


_MAKERS: dict[str, Callable[[Path], int]] = {
    "100m": _make_100m,
    "370m": _make_370m,
    "draft-80": partial(_make_draft, errs=0.2),
    "draft-0": partial(_make_draft, errs=1.0),
    "1b": _make_1b,
    "hybrid": partial(_make_memory, shape=Hybrid()),
    "recurrent": partial(_make_memory, shape=Recurrent()),
    "windows": partial(_make_memory, shape=Windows()),
    "mmproj-86m": _make_projector,
    "bert-33m": _make_bert,
}


@dataclass(frozen=True, slots=True)
class Models:
    """Finds and makes models; the latter in `folder`, once each."""

    folder: Path
    made: dict[str, Path] = field(default_factory=dict)

    def file(self, name: str) -> Path:
        """The GGUF that `name` stands for. Raises what sources raise, and OSError."""
        if name not in _MAKERS:
            return resolve(name, progress_for()).path.resolve()
        if name not in self.made:
            path = self.folder / f"{name}.gguf"
            _MAKERS[name](path)
            self.made[name] = path
        return self.made[name]


def vocabulary_size(path: Path) -> int:
    """How many tokens the GGUF `path` knows."""
    tokens = read_gguf(path).metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, ArrayValue)
    return tokens.length
