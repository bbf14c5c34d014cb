#!/usr/bin/env bash
# Expected: what the format's specification (docs/gguf.md of ggml) allows is loaded by ggml: tensors are found by the
# offset that each states, names have at most 64 bytes, arrays can be nested, and the alignment is a multiple of 8.
# Instead: ggml refuses a file whose data is not in the order of the list, names of 64 bytes, arrays of arrays, and an
# alignment of 24. The `gguf` package, made by the same people, reads the first three.
# It matters to whoever writes GGUFs or checks them: a stated offset tells a reader nothing that it may not compute,
# and a file that passes with one reader does not load with the other.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
{ python3 -m venv venv && venv/bin/pip -qq install gguf==0.19.0 numpy==2.2.6; } || exit 2
# llama.cpp, compiled: of it, only ggml's reader is used.
npm install --silent --ignore-scripts --no-audit --no-fund @node-llama-cpp/linux-x64@3.22.1 || exit 2

venv/bin/python - <<'PYTHON'
import ctypes
import struct
import sys

import gguf

ggml = ctypes.CDLL("node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so")


class Parameters(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p)]


ggml.gguf_init_from_file.restype = ctypes.c_void_p
ggml.gguf_init_from_file.argtypes = [ctypes.c_char_p, Parameters]


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def write(tensors: dict[str, int], *metadata: bytes) -> None:
    """Tensors of 8 floats, each with its offset. 96 is a multiple of both alignments."""
    entries = [text("general.architecture") + struct.pack("<I", 8) + text("llama"), *metadata]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries)
    for name, offset in tensors.items():
        head += text(name) + struct.pack("<IQIQ", 1, 8, 0, offset)
    with open("file.gguf", "wb") as file:
        file.write(head + bytes(-len(head) % 96 + 32 * len(tensors)))


def read() -> tuple[bool, bool]:
    """By ggml, by the package."""
    by_ggml = ggml.gguf_init_from_file(b"file.gguf", Parameters(True, None)) is not None
    try:
        gguf.GGUFReader("file.gguf")
    except ValueError:
        return by_ggml, False
    return by_ggml, True


print("gguf 0.19.0, ggml as in @node-llama-cpp/linux-x64 3.22.1\n")
nested = text("some.list") + struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQI", 4, 1, 7)
cases = {  # what is written; whether ggml, and whether the package, has been seen to read it
    "as everybody writes it": (({"a": 0, "b": 32},), (True, True)),
    "data in another order": (({"b": 32, "a": 0},), (False, True)),
    "a name of 63 bytes": (({"n" * 63: 0},), (True, True)),
    "a name of 64 bytes": (({"n" * 64: 0},), (False, True)),
    "an array of arrays": (({"a": 0}, nested), (False, True)),
    "alignment 24": (({"a": 0}, text("general.alignment") + struct.pack("<II", 4, 24)), (False, False)),
}
changed = []
for name, (content, seen) in cases.items():
    write(*content)
    now = read()
    print(f"{name:24} ggml {'reads' if now[0] else 'refuses'} it, the package {'reads' if now[1] else 'refuses'} it")
    changed += [name] if now != seen else []
if changed:
    sys.exit(f"Changed: {', '.join(changed)}")
print("\nStill so: ggml refuses what the specification allows.")
PYTHON
