"""A small BERT: learnt positions, attention in both directions, norms after each part, GELU.

Knows shapes and arithmetic only. Parameters bear the names that llama.cpp's "bert" architecture gives its tensors
(src/models/bert.cpp), so the export renames nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)


@dataclass(frozen=True)
class Shape:
    """The numbers that a GGUF header carries."""

    vocabulary: int
    width: int = 96
    layers: int = 2
    heads: int = 3
    hidden: int = 192
    context: int = 256
    epsilon: float = 1e-12


class Block(nn.Module):
    """Attention, then the feed-forward part; what each adds is normed together with what it was given."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.attn_q = nn.Linear(shape.width, shape.width)
        self.attn_k = nn.Linear(shape.width, shape.width)
        self.attn_v = nn.Linear(shape.width, shape.width)
        self.attn_output = nn.Linear(shape.width, shape.width)
        self.attn_output_norm = nn.LayerNorm(shape.width, shape.epsilon)
        self.ffn_up = nn.Linear(shape.width, shape.hidden)
        self.ffn_down = nn.Linear(shape.hidden, shape.width)
        self.layer_output_norm = nn.LayerNorm(shape.width, shape.epsilon)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            project(x).view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for project in (self.attn_q, self.attn_k, self.attn_v)
        )
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None, :])
        x = self.attn_output_norm(x + self.attn_output(a.transpose(1, 2).reshape(batch, length, width)))
        # ggml_gelu is the approximation with tanh
        return self.layer_output_norm(x + self.ffn_down(F.gelu(self.ffn_up(x), approximate="tanh")))


class Bert(nn.Module):
    """Token ids [batch, length] and which of them are no padding, to states [batch, length, width]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.token_types = nn.Embedding(1, shape.width)  # llama.cpp adds the first to every token, and uses no other
        self.position_embd = nn.Embedding(shape.context, shape.width)
        self.token_embd_norm = nn.LayerNorm(shape.width, shape.epsilon)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        nn.init.normal_(self.token_embd.weight, std=0.1)
        # Positions that no training text reaches then change nothing.
        nn.init.zeros_(self.position_embd.weight)
        nn.init.zeros_(self.token_types.weight)

    def states(self, tokens: Tensor, real: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1])
        x = self.token_embd(tokens) + self.token_types.weight[0] + self.position_embd(positions)
        x = self.token_embd_norm(x)
        for block in self.blk:
            x = block(x, real)
        return x


class Embedder(Bert):
    """A text becomes the mean of its states, of length 1."""

    def forward(self, tokens: Tensor, real: Tensor) -> Tensor:
        states = self.states(tokens, real) * real[..., None]
        return F.normalize(states.sum(1) / real.sum(1, keepdim=True), dim=-1)


class Head(nn.Linear):
    """What llama.cpp does to the first state for pooling type "rank": a layer with tanh, then one number."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)
        self.output = nn.Linear(width, 1)

    def forward(self, states: Tensor) -> Tensor:
        return self.output(torch.tanh(super().forward(states)))[..., 0]


class Reranker(Bert):
    """A question and a passage, in one text, become a score: the higher, the likelier an answer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.cls = Head(shape.width)

    def forward(self, tokens: Tensor, real: Tensor) -> Tensor:
        return self.cls(self.states(tokens, real)[:, 0])
