"""GGUF, the format that llama.cpp's weights come in: reading headers, summing them up, joining splits.

Every idea has its file, and each imports only those above it. Refuses to know whose weights they are, and why they are
looked into.

    types.py     ggml's tensor types and their sizes; the names of quantization mixes
    header.py    what a header says, as plain values
    cursor.py    reading forward through a file without trusting it
    metadata.py  bytes → metadata
    tensors.py   bytes → the list of tensors
    reader.py    bytes → GGUF
    fields.py    metadata by key, with its type checked
    layers.py    metadata → what each block remembers of a conversation
    summary.py   GGUF → ModelInfo
    memory.py    ModelInfo → bytes of memory
    split.py     parts → one file's worth of bytes
    weights.py   a path → all of the above, for a build

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. What llama.cpp accepts is
stricter in places, and it is what counts here: `ggml/src/gguf.cpp` and `src/llama-model.cpp` of the
llama.cpp inside llama-cpp-python 0.3.36.
"""

from bundler.gguf.header import GGUF, ArrayValue, KeyRange, Tensor, Value, ValueType
from bundler.gguf.memory import PROGRAM, SEEING, MemoryEstimate, contexts_of_interest, estimate_memory
from bundler.gguf.reader import read_gguf
from bundler.gguf.split import find_parts, plan_content, plan_merge, read_weights
from bundler.gguf.summary import FileKind, ModelInfo, summarize
from bundler.gguf.types import GGMLType
from bundler.gguf.weights import weights_content, weights_header
from runtime.memory.layers import LayerCache

__all__ = [
    "GGUF",
    "PROGRAM",
    "SEEING",
    "ArrayValue",
    "FileKind",
    "GGMLType",
    "KeyRange",
    "LayerCache",
    "MemoryEstimate",
    "ModelInfo",
    "Tensor",
    "Value",
    "ValueType",
    "contexts_of_interest",
    "estimate_memory",
    "find_parts",
    "plan_content",
    "plan_merge",
    "read_gguf",
    "read_weights",
    "summarize",
    "weights_content",
    "weights_header",
]
