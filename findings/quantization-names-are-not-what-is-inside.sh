#!/usr/bin/env bash
# Expected: of one model, Q2_K is smaller than Q3_K_S, and Q4_K_M is smaller than Q5_K_S. The name says how many bits.
# Instead: rows that are no multiple of 256 (576 in SmolLM2-135M, 896 in Qwen2.5-0.5B) cannot be stored in K types,
# and llama.cpp takes a larger type for each such tensor. Of the model below, Q2_K and Q3_K_S come to the same bytes,
# with 4 bits in every tensor, and Q4_K_M is larger than Q5_K_S. The file states the name that was asked for.
# It matters to whoever chooses by the name, or estimates memory by it: of small models, the lowest quantizations are
# not what they are called, and the better one of two may be the smaller file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
{ python3 -m venv venv && venv/bin/pip -qq install gguf==0.19.0 numpy==2.2.6; } || exit 2
# llama.cpp, compiled: of it, only the quantizer is used.
npm install --silent --ignore-scripts --no-audit --no-fund @node-llama-cpp/linux-x64@3.22.1 || exit 2

venv/bin/python - <<'PYTHON'
import ctypes
import sys
from collections import Counter

import gguf
import numpy

FOLDER = "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/"
for library in ("libggml-base.so", "libggml.v0.5.0.so"):
    ctypes.CDLL(FOLDER + library, ctypes.RTLD_GLOBAL)
llama = ctypes.CDLL(FOLDER + "libllama.v0.5.0.so")


class Parameters(ctypes.Structure):  # llama_model_quantize_params; what is behind the type does not matter here
    _fields_ = [("threads", ctypes.c_int32), ("file_type", ctypes.c_int32), ("others", ctypes.c_uint8 * 248)]


llama.llama_model_quantize_default_params.restype = Parameters
silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
llama.llama_log_set(silent, None)


def write_layer_of_noise(width: int) -> None:
    writer = gguf.GGUFWriter("model.gguf", "llama")
    numbers = {"block_count": 1, "context_length": 64, "embedding_length": width, "feed_forward_length": 3 * width}
    for key, value in (numbers | {"attention.head_count": width // 64}).items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_layer_norm_rms_eps(1e-5)
    noise = numpy.random.default_rng(0)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        shape = {"ffn_gate": (3 * width, width), "ffn_up": (3 * width, width), "ffn_down": (width, 3 * width)}
        matrix = noise.standard_normal(shape.get(name, (width, width)), numpy.float32)
        writer.add_tensor(f"blk.0.{name}.weight", matrix)
    for finish in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        finish()


def quantize(name: str) -> int:
    parameters = llama.llama_model_quantize_default_params()
    parameters.file_type = gguf.LlamaFileType[f"MOSTLY_{name}"]
    if llama.llama_model_quantize(b"model.gguf", b"small.gguf", ctypes.byref(parameters)):
        sys.exit(f"Changed: {name} cannot be made.")
    small = gguf.GGUFReader("small.gguf")
    types = Counter(tensor.tensor_type.name for tensor in small.tensors)
    size = sum(int(tensor.n_bytes) for tensor in small.tensors)
    states = gguf.LlamaFileType(small.fields["general.file_type"].contents()).name
    print(f"  {name:6} {size:>9,} bytes of tensors, states {states}, has {dict(types)}")
    return size


print("gguf 0.19.0, llama.cpp as in @node-llama-cpp/linux-x64 3.22.1")
sizes = {}
for width in (512, 576):
    write_layer_of_noise(width)
    print(f"rows of {width}:")
    sizes[width] = [quantize(name) for name in ("Q2_K", "Q3_K_S", "Q4_K_M", "Q5_K_S")]

if sizes[512] != sorted(set(sizes[512])):
    sys.exit("Changed: sizes do not follow the names where rows are a multiple of 256.")
if sizes[576][0] != sizes[576][1] or sizes[576][2] <= sizes[576][3]:
    sys.exit("Changed: sizes follow the names where rows are no multiple of 256.")
print("Still so: Q2_K is as large as Q3_K_S, and Q4_K_M larger than Q5_K_S.")
PYTHON
