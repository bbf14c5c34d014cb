"""Splits a GGUF as llama-gguf-split does."""

from __future__ import annotations

import struct
from pathlib import Path

from bundler.gguf import read_gguf
from support.ggufs import Typed, string, tensor_info, value


def split_in_two(path: Path, stem: Path) -> Path:
    """The same model as llama-gguf-split writes it; the first part of it."""
    gguf, data = read_gguf(path), path.read_bytes()
    metadata = b"".join(data[key.offset : key.offset + key.size] for key in gguf.key_ranges)
    half = len(gguf.tensors) // 2
    paths = []
    for number, tensors in enumerate((gguf.tensors[:half], gguf.tensors[half:])):
        split = {
            "split.no": Typed(2, number),
            "split.count": Typed(2, 2),
            "split.tensors.count": Typed(5, len(gguf.tensors)),
        }
        keys = (metadata if number == 0 else b"") + b"".join(string(key) + value(item) for key, item in split.items())
        count = len(split) + (len(gguf.key_ranges) if number == 0 else 0)
        head, content = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), count) + keys, b""
        for tensor in tensors:
            head += tensor_info(tensor.name, tensor.shape, tensor.type.id, len(content))
            begin = gguf.data_offset + tensor.offset
            content += data[begin : begin + tensor.size] + bytes(-tensor.size % 32)
        paths.append(stem.with_name(f"{stem.name}-{number + 1:05}-of-00002.gguf"))
        paths[-1].write_bytes(head + bytes(-len(head) % 32) + content)
    return paths[0]
