"""A small smooth search network without batch statistics, whose loss is also a pure function."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from darts_pl.spaces import Mixing, Outcome, Relaxation, Supernet, build_space

FEATURES, HIDDEN, CLASSES = 5, 7, 3


def mixed_loss(
    tensors: Mapping[str, Tensor],
    mixing: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    drop: Callable[[Tensor], Tensor],
) -> Tensor:
    """Cross-entropy of two layers of mixed tanh, sin and identity units; no batch statistics.

    Args:
        tensors: "first", "second", "head".
        mixing: mixing weights [2, 3] of "normal" and "reduce".
        x: [B, FEATURES].
        y: [B].
        drop: applied to the hidden layer.
    """
    for layer, cell_type in (("first", "normal"), ("second", "reduce")):
        sources = (x @ tensors[layer][0], x @ tensors[layer][1])
        x = sum(
            row[0] * torch.tanh(source) + row[1] * torch.sin(source) + row[2] * source
            for row, source in zip(mixing[cell_type], sources, strict=True)
        )
        x = drop(x)
    return nn.functional.cross_entropy(x @ tensors["head"], y)


def smooth_loss(tensors: Mapping[str, Tensor], x: Tensor, y: Tensor, drop: Callable[[Tensor], Tensor]) -> Tensor:
    """`mixed_loss` with the softmax of the alphas "alphas.normal" and "alphas.reduce" among `tensors`."""
    mixing = {name: torch.softmax(tensors[f"alphas.{name}"], dim=1) for name in ("normal", "reduce")}
    return mixed_loss(tensors, mixing, x, y, drop)


class SmoothNet(Supernet):
    """`smooth_loss` with its tensors as Parameters, and dropout that may be 0."""

    def __init__(self, dropout: float, relaxation: Relaxation | None = None) -> None:
        space = build_space("cnn", ("max_pool_3x3", "avg_pool_3x3", "skip_connect"), nodes=1)
        super().__init__(space, relaxation)
        self.first = nn.Parameter(torch.randn(2, FEATURES, HIDDEN) / 4)
        self.second = nn.Parameter(torch.randn(2, HIDDEN, HIDDEN) / 4)
        self.head = nn.Parameter(torch.randn(HIDDEN, CLASSES) / 2)
        for alphas in self.alphas.values():
            nn.init.normal_(alphas)
        self.dropout = nn.Dropout(dropout)

    def loss(self, batch: tuple[Tensor, Tensor], mixing: Mapping[str, Mixing]) -> Outcome:
        tensors = {"first": self.first, "second": self.second, "head": self.head}
        weights = {name: values.weights for name, values in mixing.items()}
        loss = mixed_loss(tensors, weights, *batch, self.dropout)
        return Outcome(loss, loss.detach())
