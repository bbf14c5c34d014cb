"""Split GGUFs: finding the parts, and joining them without reading their weights.

Knows llama.cpp's naming (`llama_split_path` in src/llama.cpp) and its three `split.*` keys. Refuses to
know what else the metadata says, and never touches tensor data: the result is a list of pieces.

Why join at all: llama.cpp loads a model from inside another file only if it is one GGUF.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

from bundler.errors import MismatchedParts, MissingParts, NotFirstPart
from bundler.file.content import Content, FileRange, Inline, Piece, content_size
from bundler.gguf.header import GGUF, KeyRange, Tensor, align
from bundler.gguf.reader import MAGIC, read_gguf

_PART_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)
_NUMBER, _COUNT, _TENSORS = "split.no", "split.count", "split.tensors.count"
_SPLIT_KEYS = frozenset({_NUMBER, _COUNT, _TENSORS})


def read_weights(path: Path) -> tuple[GGUF, Content]:
    """The GGUF at `path` and its bytes; of a split one, all parts as the one GGUF they make.

    The header of a merged GGUF is what reading the content would give, but for its `path`, which is
    the first part's.

    Raises SplitError when parts are missing or do not fit, GGUFError when one cannot be used.
    """
    parts = [read_gguf(part) for part in find_parts(path)]
    if len(parts) > 1:
        return plan_merge(parts)
    (gguf,) = parts
    count = gguf.metadata.get(_COUNT, 0)
    if isinstance(count, int) and count > 1:
        raise MismatchedParts(
            path,
            f"it says that it is one of {count:,}, and its name does not (NAME-00001-of-{count:05}.gguf)",
        )
    return gguf, plan_content(gguf)


def find_parts(path: Path) -> tuple[Path, ...]:
    """All parts of the split GGUF whose first part is `path`; `path` alone if its name is not a part's.

    Raises NotFirstPart for a later part, MissingParts when not all lie beside the first.
    """
    match = _PART_NAME.fullmatch(path.name)
    number, count = (int(match["number"]), int(match["count"])) if match else (1, 1)
    if not match or not 1 <= number <= count or count == 1:
        return (path,)
    parts = tuple(path.with_name(f"{match['stem']}-{other:05}-of-{count:05}.gguf") for other in range(1, count + 1))
    if number != 1:
        raise NotFirstPart(path, parts[0])
    missing = tuple(part for part in parts if not part.exists())
    if missing:
        raise MissingParts(path, missing)
    return parts


def plan_content(gguf: GGUF) -> Content:
    """The bytes of a GGUF that is not split: itself."""
    return (FileRange(gguf.path, gguf.offset, gguf.size),)


def plan_merge(parts: Sequence[GGUF]) -> tuple[GGUF, Content]:
    """The one GGUF that `parts`, in order, make: its header and its bytes.

    Metadata is the first part's without the three `split.*` keys, copied byte for byte and in its
    order. Tensors keep their order, part after part; each part's data is copied as one range.

    Raises MismatchedParts when the parts contradict each other.
    """
    _check(parts)
    first = parts[0]
    key_ranges, metadata_pieces = _merge_metadata(first)
    tensors, data_pieces = _merge_data(parts)

    preamble = MAGIC + struct.pack("<IQQ", first.version, len(tensors), len(key_ranges))
    head: Content = (Inline(preamble), *metadata_pieces, Inline(b"".join(map(_tensor_info, tensors))))
    head_size = content_size(head)
    data_offset = align(head_size, first.alignment) if tensors else head_size
    content = _without_empty((*head, _padding(head_size, data_offset), *data_pieces))

    merged = replace(
        first,
        offset=0,
        size=content_size(content),
        metadata=MappingProxyType({entry.key: first.metadata[entry.key] for entry in key_ranges}),
        key_ranges=key_ranges,
        tensors=tensors,
        data_offset=data_offset,
    )
    return merged, content


def _check(parts: Sequence[GGUF]) -> None:
    first = parts[0]
    names: set[str] = set()
    for number, part in enumerate(parts):
        _expect(part, _NUMBER, number)
        _expect(part, _COUNT, len(parts))
        for what, ours, theirs in (
            ("version", part.version, first.version),
            ("alignment", part.alignment, first.alignment),
        ):
            if ours != theirs:
                raise MismatchedParts(part.path, f"its {what} is {ours}, and that of the first part {theirs}")
        for tensor in part.tensors:
            if tensor.name in names:
                raise MismatchedParts(part.path, f"its tensor {tensor.name!r} is also in an earlier part")
            names.add(tensor.name)
    _expect(first, _TENSORS, len(names), "the number of tensors in all parts")


def _expect(part: GGUF, key: str, expected: int, meaning: str = "from the file's name") -> None:
    value = part.metadata.get(key)
    if value is None:
        raise MismatchedParts(part.path, f"it has no metadata key {key!r}, so it is not a part of anything")
    if value != expected:
        raise MismatchedParts(part.path, f"its {key!r} is {value!r}; expected {expected} ({meaning})")


def _merge_metadata(first: GGUF) -> tuple[tuple[KeyRange, ...], list[FileRange]]:
    """Where the kept entries will lie in the merged GGUF, and their bytes in the first part."""
    kept: list[KeyRange] = []
    position = first.key_ranges[0].offset
    for entry in first.key_ranges:
        if entry.key not in _SPLIT_KEYS:
            kept.append(replace(entry, offset=position))
            position += entry.size
    return tuple(kept), _runs(first)


def _runs(first: GGUF) -> list[FileRange]:
    """The bytes of the kept entries, each run of neighbours as one piece."""
    runs = []
    for is_split, entries in groupby(first.key_ranges, lambda entry: entry.key in _SPLIT_KEYS):
        if not is_split:
            run = tuple(entries)
            size = run[-1].offset + run[-1].size - run[0].offset
            runs.append(FileRange(first.path, first.offset + run[0].offset, size))
    return runs


def _merge_data(parts: Sequence[GGUF]) -> tuple[tuple[Tensor, ...], list[Piece]]:
    """The tensors at their new offsets, and the data: inside a part, offsets are aligned already."""
    tensors: list[Tensor] = []
    pieces: list[Piece] = []
    base = 0
    for part in parts:
        if not part.tensors:
            continue
        tensors += (replace(tensor, offset=base + tensor.offset) for tensor in part.tensors)
        size = part.tensors[-1].offset + part.tensors[-1].size
        end = align(base + size, part.alignment)
        pieces += (FileRange(part.path, part.data_offset, size), _padding(base + size, end))
        base = end
    return tuple(tensors), pieces


def _tensor_info(tensor: Tensor) -> bytes:
    name = tensor.name.encode()
    return b"".join(
        (
            struct.pack("<Q", len(name)),
            name,
            struct.pack("<I", len(tensor.shape)),
            struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape),
            struct.pack("<IQ", tensor.type.id, tensor.offset),
        )
    )


def _padding(position: int, end: int) -> Inline:
    return Inline(bytes(end - position))


def _without_empty(pieces: Content) -> Content:
    return tuple(piece for piece in pieces if piece.size)
