"""What the GGUF reader reads, and how it refuses."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from bundler.errors import (
    GGUFError,
    MalformedGGUF,
    NotGGUF,
    TruncatedGGUF,
    UnreadableGGUF,
    UnsupportedGGUF,
)
from bundler.gguf import ArrayValue, ValueType, read_gguf
from support.ggufs import (
    ARRAY,
    FLOAT32,
    INT32,
    LLAMA,
    STRING,
    TENSORS,
    UINT64,
    Array,
    Meta,
    TensorSpec,
    Typed,
    gguf_bytes,
    string,
    tensor_info,
    value,
    write_gguf,
)

TINY: Mapping[str, Meta] = {"general.architecture": "llama"}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("alignment", [1, 32, 4096])
def test_reads_what_was_written(tmp_path: Path, version: int, alignment: int) -> None:
    path = write_gguf(tmp_path / "m.gguf", version=version, alignment=alignment)
    gguf = read_gguf(path)
    assert (gguf.version, gguf.alignment, gguf.size) == (version, alignment, path.stat().st_size)
    assert gguf.metadata["general.name"] == "Tiny"
    assert gguf.metadata["llama.context_length"] == 4096
    assert gguf.metadata["tokenizer.ggml.tokens"] == ArrayValue(ValueType.STRING, 4, ("<s>", "a", "é", "😀"))
    assert [t.name for t in gguf.tensors] == [t.name for t in TENSORS]
    assert [t.size for t in gguf.tensors] == [t.size for t in TENSORS]
    data = path.read_bytes()
    for tensor, spec in zip(gguf.tensors, TENSORS, strict=True):
        assert data[gguf.data_offset + tensor.offset :][: tensor.size] == spec.data


def test_reads_in_place_inside_another_file(tmp_path: Path) -> None:
    alone = read_gguf(write_gguf(tmp_path / "m.gguf"))
    bundle = tmp_path / "m.loaf"
    bundle.write_bytes(b"#" * 1000 + gguf_bytes() + b"tail" * 100)
    inside = read_gguf(bundle, offset=1000, size=alone.size)
    assert (inside.metadata, inside.tensors, inside.key_ranges) == (
        alone.metadata,
        alone.tensors,
        alone.key_ranges,
    )
    assert (inside.size, inside.data_offset) == (alone.size, alone.data_offset + 1000)


def test_a_size_beyond_the_file_is_a_truncation(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    with pytest.raises(TruncatedGGUF) as caught:
        read_gguf(path, offset=0, size=path.stat().st_size + 5)
    assert caught.value.needed - caught.value.present == 5


@pytest.mark.parametrize("kind", range(13))
def test_every_value_type(tmp_path: Path, kind: int) -> None:
    others: dict[int, Meta] = {8: "x", 9: Array(INT32, [-1])}
    item = others.get(kind, Typed(kind, 1))
    gguf = read_gguf(write_gguf(tmp_path / "m.gguf", {"k": item}, ()))
    expected = {8: "x", 9: ArrayValue(ValueType.INT32, 1, (-1,))}.get(kind, 1)
    assert gguf.metadata == {"k": expected}
    assert gguf.key_ranges[0].type == kind


def test_broken_text_in_values_is_kept_readable_and_the_bytes_are_found(tmp_path: Path) -> None:
    broken = Typed(STRING, b"\xff\xfe ok")
    path = write_gguf(tmp_path / "m.gguf", {"a": 1, "general.name": broken}, ())
    gguf = read_gguf(path)
    assert gguf.metadata["general.name"] == "\ufffd\ufffd ok"
    entry = gguf.key_ranges[1]
    assert path.read_bytes()[entry.offset :][: entry.size] == string("general.name") + value(broken)


def test_long_arrays_keep_their_length_only(tmp_path: Path) -> None:
    metadata = {
        "few": Array(INT32, range(1024)),
        "many": Array(INT32, range(1025)),
        "text": Array(8, ["x"] * 2000),
    }
    gguf = read_gguf(write_gguf(tmp_path / "m.gguf", metadata, ()))
    assert gguf.metadata["few"] == ArrayValue(ValueType.INT32, 1024, tuple(range(1024)))
    assert gguf.metadata["many"] == ArrayValue(ValueType.INT32, 1025, None)
    assert gguf.metadata["text"] == ArrayValue(ValueType.STRING, 2000, None)


def test_a_real_vocabulary_is_read_quickly(tmp_path: Path) -> None:
    tokens = [f"token{'x' * (i % 9)}{i}" for i in range(150_000)]
    metadata = {
        **LLAMA,
        "tokenizer.ggml.tokens": Array(STRING, tokens),
        "tokenizer.ggml.scores": Array(FLOAT32, [0.0] * 150_000),
        "tokenizer.ggml.merges": Array(STRING, tokens),
    }
    path = write_gguf(tmp_path / "m.gguf", metadata)
    started = time.process_time()
    gguf = read_gguf(path)
    assert time.process_time() - started < 0.5
    assert gguf.metadata["tokenizer.ggml.merges"] == ArrayValue(ValueType.STRING, 150_000, None)
    assert gguf.metadata["tokenizer.chat_template"] == "{{ messages }}"


@pytest.mark.parametrize(
    ("start", "looks_like"),
    [
        (b"", "an empty file"),
        (b"GG", None),
        (b"random bytes that are nothing", None),
        (b"PK\x03\x04....", "ZIP"),
        (b"\x08\x00\x00\x00\x00\x00\x00\x00{...", "safetensors"),
        (b"version https://git-lfs", "Git LFS"),
        (b"<!DOCTYPE html>", "web page"),
        (b"tjgg\x03\x00\x00\x00", "before GGUF"),
        (b"#!/bin/sh\n", "bundle"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, start: bytes, looks_like: str | None) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(start)
    with pytest.raises(NotGGUF) as caught:
        read_gguf(path)
    assert (caught.value.looks_like or "").find(looks_like or "") >= 0
    assert (looks_like is None) == (caught.value.looks_like is None)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing.gguf", tmp_path, tmp_path / "pipe"):
        with pytest.raises(UnreadableGGUF) as caught:
            read_gguf(path)
        assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("version", "error", "says"),
    [
        (0, MalformedGGUF, "version 0"),
        (1, UnsupportedGGUF, "version 1"),
        (4, UnsupportedGGUF, "version 4"),
        (0x03000000, UnsupportedGGUF, "big-endian"),
    ],
)
def test_versions(tmp_path: Path, version: int, error: type[GGUFError], says: str) -> None:
    with pytest.raises(error, match=says):
        read_gguf(write_gguf(tmp_path / "m.gguf", version=version))


def header(tensor_count: int = 0, key_count: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensor_count, key_count) + rest


def tensor(name: str = "t", shape: tuple[int, ...] = (8,), type_: int = 0, offset: int = 0) -> bytes:
    return header(1, 0, tensor_info(name, shape, type_, offset)) + bytes(128)


U64_MAX = 2**64 - 1
NONSENSE = {
    "tensor count": (header(2**63), "tensors"),
    "key count": (header(0, U64_MAX), "metadata keys"),
    "key length": (header(0, 1, struct.pack("<Q", 2**63) + bytes(64)), "metadata key 1"),
    "long key": (header(0, 1, string("k" * 65536) + value(1)), "65,536 bytes"),
    "empty key": (header(0, 1, string("") + value(1)), "empty"),
    "key not UTF-8": (header(0, 1, string(b"\xff") + value(1)), "UTF-8"),
    "key twice": (header(0, 2, (string("k") + value(1)) * 2), "'k' appears twice"),
    "string length": (header(0, 1, string("k") + struct.pack("<IQ", STRING, 2**62) + bytes(64)), "'k'"),
    "value type": (header(0, 1, string("k") + struct.pack("<I", 13) + bytes(64)), "value type 13"),
    "array length": (
        header(0, 1, string("k") + struct.pack("<IIQ", ARRAY, UINT64, 2**61) + bytes(64)),
        "'k'",
    ),
    "strings length": (
        header(0, 1, string("k") + struct.pack("<IIQ", ARRAY, STRING, U64_MAX) + bytes(64)),
        "'k'",
    ),
    "long string in a long array": (
        header(0, 1, string("k") + struct.pack("<IIQ", ARRAY, STRING, 2000) + string("a") * 1999)
        + struct.pack("<Q", 2**63),
        "'k'",
    ),
    "array of arrays": (
        header(0, 1, string("k") + struct.pack("<IIQIQ", ARRAY, ARRAY, 1, 0, 0) + bytes(64)),
        "array of arrays",
    ),
    "alignment of zero": (gguf_bytes({"general.alignment": 0}, ()), "power of two"),
    "odd alignment": (gguf_bytes({"general.alignment": 48}, ()), "power of two"),
    "huge alignment": (gguf_bytes({"general.alignment": 1 << 31}, ()), "power of two"),
    "alignment as text": (gguf_bytes({"general.alignment": "32"}, ()), "general.alignment"),
    "alignment as UINT64": (gguf_bytes({"general.alignment": Typed(UINT64, 32)}, ()), "expected UINT32"),
    "five dimensions": (tensor(shape=(1, 1, 1, 1, 1)), "5 dimensions"),
    "negative dimension": (tensor(shape=(2**63,)), "shape"),
    "product of dimensions": (tensor(shape=(2**32, 2**32)), "shape"),
    "product hidden by a zero": (tensor(shape=(0, 2**32, 2**32)), "shape"),
    "tensor name": (tensor(name="n" * 64), "64 bytes"),
    "ragged rows": (tensor(shape=(33,), type_=8), "33 elements"),
    "offset not aligned": (tensor(offset=4), "byte 4"),
    "offset far away": (tensor(offset=2**63), "tensor data"),
    "tensor twice": (
        header(2, 0, tensor_info("t", (8,), 0, 0) + tensor_info("t", (8,), 0, 32)) + bytes(128),
        "'t' appears twice",
    ),
    "tensors overlap": (
        header(2, 0, tensor_info("a", (16,), 0, 0) + tensor_info("b", (16,), 0, 32)) + bytes(256),
        "expected 64",
    ),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_named(tmp_path: Path, name: str) -> None:
    data, says = NONSENSE[name]
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(MalformedGGUF) as caught:
        read_gguf(path)
    assert says in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("type_", "says"),
    [(4, "Q4_2"), (31, "Q4_0_4_4"), (38, "IQ4_NL_8_8"), (43, "type 43"), (2**32 - 1, "type 4")],
)
def test_tensor_types_that_cannot_be_loaded(tmp_path: Path, type_: int, says: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(tensor(type_=type_))
    with pytest.raises(UnsupportedGGUF, match=says):
        read_gguf(path)


def test_every_truncation_is_told_as_one(tmp_path: Path) -> None:
    whole = gguf_bytes()
    path = tmp_path / "m.gguf"
    gguf = read_gguf(write_gguf(path))
    needed = gguf.data_offset + gguf.tensors[-1].offset + gguf.tensors[-1].size
    for length in (*range(4, gguf.data_offset), *range(gguf.data_offset, needed, 37), needed - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(TruncatedGGUF) as caught:
            read_gguf(path)
        assert caught.value.present == length < caught.value.needed <= needed
    path.write_bytes(whole[:needed])  # the padding after the last tensor may be missing: llama.cpp loads it too
    assert read_gguf(path).tensors


def test_no_dimensions_and_empty_tensors(tmp_path: Path) -> None:
    tensors = (TensorSpec("scalar", ()), TensorSpec("none", (0, 4)), TensorSpec("last", (3,)))
    gguf = read_gguf(write_gguf(tmp_path / "m.gguf", TINY, tensors))
    assert [(t.offset, t.size) for t in gguf.tensors] == [(0, 4), (32, 0), (32, 12)]
