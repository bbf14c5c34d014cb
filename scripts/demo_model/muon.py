"""Muon: momentum that is made orthogonal before it is applied; learns small models in far fewer steps.

torch.optim.Muon computes in bfloat16, which processors without bfloat16 units do thirty times slower.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer


class Muon(Optimizer):
    """For matrices only; embeddings and norms belong to Adam."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # noqa: ARG002 (the base class has it)
        for group in self.param_groups:
            for matrix in group["params"]:
                gradient = matrix.grad
                average = self.state[matrix].setdefault("average", torch.zeros_like(gradient))
                average.lerp_(gradient, 1 - group["momentum"])
                update = orthogonal(gradient.lerp(average, group["momentum"]))
                scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                matrix.add_(update, alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest orthogonal matrix, roughly: five Newton-Schulz steps."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x
