"""A small llama: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied embeddings.

Knows shapes and arithmetic only. The rotary pairs are (0,1), (2,3), …, which is the order llama.cpp's "llama"
architecture expects, so the export permutes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)


@dataclass(frozen=True)
class Shape:
    """The numbers that a GGUF header carries. Rows are multiples of 32, which Q8_0 needs."""

    vocabulary: int
    width: int = 192
    layers: int = 4
    heads: int = 6
    kv_heads: int = 3
    hidden: int = 512
    context: int = 2048
    theta: float = 10000.0
    epsilon: float = 1e-5

    @property
    def head(self) -> int:
        return self.width // self.heads


class Block(nn.Module):
    """Attention, then the feed-forward part; each adds to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        keys = shape.kv_heads * shape.head
        self.attn_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.attn_q = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_k = nn.Linear(shape.width, keys, bias=False)
        self.attn_v = nn.Linear(shape.width, keys, bias=False)
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.ffn_gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.ffn_up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.ffn_down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        shape, (batch, length, width) = self.shape, x.shape
        y = self.attn_norm(x)
        q = self.attn_q(y).view(batch, length, shape.heads, shape.head).transpose(1, 2)
        k = self.attn_k(y).view(batch, length, shape.kv_heads, shape.head).transpose(1, 2)
        v = self.attn_v(y).view(batch, length, shape.kv_heads, shape.head).transpose(1, 2)
        group = shape.heads // shape.kv_heads
        k = rotate(k, cos, sin).repeat_interleave(group, 1)
        v = v.repeat_interleave(group, 1)
        a = F.scaled_dot_product_attention(rotate(q, cos, sin), k, v, is_causal=True)
        x = x + self.attn_output(a.transpose(1, 2).reshape(batch, length, width))
        y = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(y)) * self.ffn_up(y))


class Llama(nn.Module):
    """Token ids in, hidden states out; `logits` turns chosen states into scores."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        frequencies = shape.theta ** (-torch.arange(0, shape.head, 2) / shape.head)
        angles = torch.outer(torch.arange(shape.context), frequencies)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        nn.init.normal_(self.token_embd.weight, std=0.05)
        for block in self.blk:
            for outward in (block.attn_output, block.ffn_down):
                nn.init.zeros_(outward.weight)  # every block starts as the identity

    def forward(self, tokens: Tensor) -> Tensor:
        return self.states(self.token_embd(tokens))

    def states(self, x: Tensor) -> Tensor:
        """For what stands in the stream already: tokens' rows, or a picture's."""
        cos, sin = self.cos[: x.shape[1]], self.sin[: x.shape[1]]
        for block in self.blk:
            x = block(x, cos, sin)
        return self.output_norm(x)

    def logits(self, states: Tensor) -> Tensor:
        return states @ self.token_embd.weight.T


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns each neighbouring pair of numbers by its position's angle."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)
