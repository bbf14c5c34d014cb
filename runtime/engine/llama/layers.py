"""What a GGUF says of the sizes of its layers: only the header is looked at.

Layers are told by the names of their tensors, `blk.N.…` (gguf-py/gguf/constants.py). What they keep of the text,
`runtime.memory` knows.
"""

from __future__ import annotations

import re

from runtime.engine.facts import LayerSizes
from runtime.engine.llama.gguf import Gguf, opened_gguf
from runtime.engine.placement import EXPERTS
from runtime.engine.weights import Weights
from runtime.memory.layers import MAX_LAYERS, attention_shape, layer_caches

_LAYER = re.compile(rb"blk\.(\d+)\.")

NO_LAYERS = LayerSizes((), 0, (), 0, 0)
"""Those of a file that cannot be read."""


def layer_sizes(weights: Weights) -> LayerSizes | None:
    """The sizes; None for a file that ggml cannot read: loading will say why."""
    with opened_gguf(weights) as header:
        return None if header is None else _sizes(header)


def _sizes(header: Gguf) -> LayerSizes:
    layers: dict[int, int] = {}
    experts: dict[int, int] = {}
    output = embedding = 0
    tensors = header.tensors()
    for tensor in tensors:
        name, size = tensor.name, tensor.size
        if match := _LAYER.match(name):
            layers[int(match[1])] = layers.get(int(match[1]), 0) + size
            if EXPERTS.search(name):
                experts[int(match[1])] = experts.get(int(match[1]), 0) + size
        elif name.startswith((b"token_embd", b"per_layer_token_embd")):
            embedding += size if name == b"token_embd.weight" else 0
        else:
            output += size
    n_embd = header.number("[llm].embedding_length") or 0
    n_ff = header.number("[llm].feed_forward_length") or 4 * n_embd
    n_layer = min(header.number("[llm].block_count") or 0, MAX_LAYERS)
    return LayerSizes(
        layers=tuple(layers[i] for i in sorted(layers)),
        # Where there is no matrix of its own for the output, the embeddings are copied for it.
        output=output + (embedding if not any(tensor.name == b"output.weight" for tensor in tensors) else 0),
        caches=layer_caches(header, attention_shape(header, n_layer, n_embd), n_embd),
        experts=tuple(experts.get(i, 0) for i in sorted(layers)),
        widest=4 * (header.length("tokenizer.ggml.tokens") + 4 * n_embd + 2 * n_ff),
        n_ctx_train=header.number("[llm].context_length") or 0,
    )
