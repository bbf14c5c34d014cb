"""A small vision transformer and the two-layer projector behind it: LLaVA's form, as libmtmd's "mlp" has it.

Knows shapes and arithmetic only. Names are those of the GGUF (tools/mtmd/clip-impl.h), so the export renames nothing.
No layer but the norms and the projector has a bias; there is no class token.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

_EMPTY = 0.3
"""How much a row counts that says "none": most do."""


@dataclass(frozen=True)
class Shape:
    """The numbers of the projector's header, and the width of the language model that it speaks to."""

    out: int
    image: int = 84
    patch: int = 14
    width: int = 128
    layers: int = 5
    heads: int = 4
    hidden: int = 320
    epsilon: float = 1e-5
    near: int = 3  # so many layers find out what each patch shows, those behind them what the whole picture does

    @property
    def patches(self) -> int:
        return (self.image // self.patch) ** 2


class Block(nn.Module):
    """Attention over all patches, then the feed-forward part; each adds to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.ln1 = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.attn_q = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_k = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_v = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_out = nn.Linear(shape.width, shape.width, bias=False)
        self.ln2 = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.ffn_up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.ffn_down = nn.Linear(shape.hidden, shape.width, bias=False)
        nn.init.zeros_(self.attn_out.weight)  # every block starts as the identity
        nn.init.zeros_(self.ffn_down.weight)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        y = self.ln1(x)
        q, k, v = (
            part(y).view(batch, length, self.shape.heads, -1).transpose(1, 2)
            for part in (self.attn_q, self.attn_k, self.attn_v)
        )
        a = F.scaled_dot_product_attention(q, k, v)
        x = x + self.attn_out(a.transpose(1, 2).reshape(batch, length, width))
        return x + self.ffn_down(F.gelu(self.ffn_up(self.ln2(x)), approximate="tanh"))


class Encoder(nn.Module):
    """Pictures in, one row for each patch out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.patch_embd = nn.Conv2d(3, shape.width, shape.patch, shape.patch, bias=False)
        self.position_embd = nn.Embedding(shape.patches, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.post_ln = nn.LayerNorm(shape.width, eps=shape.epsilon)
        with torch.no_grad():
            self.patch_embd.weight.copy_(_waves(shape))
            self.position_embd.weight.copy_(_places(shape))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.both(pixels)[1]

    def both(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """What the near layers give, and what all of them do."""
        x = near = self.patch_embd(pixels).flatten(2).transpose(1, 2) + self.position_embd.weight
        for number, block in enumerate(self.blk, 1):
            x = block(x)
            near = x if number == self.shape.near else near
        return near, self.post_ln(x)


def _waves(shape: Shape) -> Tensor:
    """To begin with, a patch's slowest cosine waves in each colour: all of it but the finest detail.

    As a JPEG has its blocks; from noise it takes long to learn what holds a picture together.
    """
    places = (torch.arange(shape.patch) + 0.5) * torch.pi / shape.patch
    order = sorted(((u, v) for u in range(shape.patch) for v in range(shape.patch)), key=lambda pair: (sum(pair), pair))
    waves = [torch.outer((u * places).cos(), (v * places).cos()) for u, v in order[: -(-shape.width // 3)]]
    each = torch.stack([wave / wave.norm() / shape.patch**0.5 for wave in waves])
    filters = torch.zeros(3 * len(waves), 3, shape.patch, shape.patch)
    for colour in range(3):
        filters[colour::3, colour] = each
    return filters[: shape.width]


def _places(shape: Shape) -> Tensor:
    """To begin with, sines of the row and the column, so that neighbours are alike."""
    side, quarter = shape.image // shape.patch, shape.width // 4
    angles = torch.outer(torch.arange(side), 20.0 ** (-torch.arange(quarter) / quarter))
    waves = torch.cat((angles.sin(), angles.cos()), dim=1)
    rows, columns = waves.repeat_interleave(side, 0), waves.repeat(side, 1)
    return 0.3 * torch.cat((rows, columns), dim=1)


class Projector(nn.ModuleDict):
    """From the encoder's width to the language model's."""

    def __init__(self, shape: Shape) -> None:
        hidden = 2 * shape.width
        super().__init__({"0": nn.Linear(shape.width, hidden), "2": nn.Linear(hidden, shape.out)})

    def forward(self, x: Tensor) -> Tensor:
        return self["2"](F.gelu(self["0"](x), approximate="tanh"))


class Eye(nn.Module):
    """Both, under the prefixes that a projector's file has."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.v = Encoder(shape)
        self.mm = Projector(shape)

    def forward(self, pixels: Tensor) -> Tensor:
        """(pictures, 3, side, side) to (pictures, patches, out)."""
        return self.mm(self.v(pixels))


class Probe(nn.Module):
    """What training asks of the eye. Never exported.

    Of every patch, after the near layers: its kind, its colour, whether a thing's middle lies in it. Of the first
    patches, after all layers: a row of the table each.
    """

    def __init__(self, shape: Shape, kinds: int, colours: int, words: int) -> None:
        super().__init__()
        self.sizes = [kinds + 1, colours, 2]
        self.norm = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.patch = nn.Linear(shape.width, sum(self.sizes))
        self.row = nn.Linear(shape.width, words)
        self.register_buffer("weights", torch.tensor([_EMPTY] + [1.0] * (words - 1)), persistent=False)

    def patches(self, near: Tensor, labels: Tensor) -> Tensor:
        """The loss; `labels` as seeing.py makes them, stacked."""
        scores = self.patch(self.norm(near)).split(self.sizes, dim=-1)
        return sum(
            (F.cross_entropy(score.flatten(0, 1), labels[:, part].flatten()) for part, score in enumerate(scores)),
            torch.zeros(()),
        )

    def rows(self, states: Tensor, tables: Tensor) -> Tensor:
        """The loss; `tables` stacked."""
        scores = self.row(states[:, : tables.shape[1]])
        return F.cross_entropy(scores.flatten(0, 1), tables.flatten(), self.weights)
