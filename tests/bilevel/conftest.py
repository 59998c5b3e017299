"""A small smooth search network whose loss is also a pure function, for torch.func to differentiate."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from darts_pl.spaces import Outcome, Supernet, build_space

FEATURES, HIDDEN, CLASSES = 5, 7, 3


def smooth_loss(tensors: Mapping[str, Tensor], x: Tensor, y: Tensor, drop: Callable[[Tensor], Tensor]) -> Tensor:
    """Cross-entropy of two layers of mixed tanh, sin and identity units; no batch statistics.

    Args:
        tensors: "first", "second", "head" and the alphas "alphas.normal", "alphas.reduce" [2, 3].
        x: [B, FEATURES].
        y: [B].
        drop: applied to the hidden layer.
    """
    for layer, cell_type in (("first", "normal"), ("second", "reduce")):
        mixing = torch.softmax(tensors[f"alphas.{cell_type}"], dim=1)
        sources = (x @ tensors[layer][0], x @ tensors[layer][1])
        x = sum(
            row[0] * torch.tanh(source) + row[1] * torch.sin(source) + row[2] * source
            for row, source in zip(mixing, sources, strict=True)
        )
        x = drop(x)
    return nn.functional.cross_entropy(x @ tensors["head"], y)


class SmoothNet(Supernet):
    """`smooth_loss` with its tensors as Parameters, and dropout that may be 0."""

    def __init__(self, dropout: float) -> None:
        super().__init__(build_space("cnn", ("max_pool_3x3", "avg_pool_3x3", "skip_connect"), nodes=1))
        self.first = nn.Parameter(torch.randn(2, FEATURES, HIDDEN) / 4)
        self.second = nn.Parameter(torch.randn(2, HIDDEN, HIDDEN) / 4)
        self.head = nn.Parameter(torch.randn(HIDDEN, CLASSES) / 2)
        for alphas in self.alphas.values():
            nn.init.normal_(alphas)
        self.dropout = nn.Dropout(dropout)

    def loss(self, batch: tuple[Tensor, Tensor]) -> Outcome:
        loss = smooth_loss(dict(self.named_parameters()), *batch, self.dropout)
        return Outcome(loss, loss.detach())


@pytest.fixture
def smooth_net() -> Callable[..., SmoothNet]:
    """Builds the smooth network in float64, the same one each time."""

    def build(dropout: float = 0.0) -> SmoothNet:
        torch.manual_seed(11)
        return SmoothNet(dropout).double()

    return build


@pytest.fixture
def pure_loss() -> Callable[[Mapping[str, Tensor], tuple[Tensor, Tensor]], Tensor]:
    """The smooth network's loss without dropout, as a pure function of (tensors by name, batch)."""
    return lambda tensors, batch: smooth_loss(tensors, *batch, lambda x: x)


@pytest.fixture
def smooth_batch() -> Callable[..., tuple[Tensor, Tensor]]:
    """A batch for the smooth network, by seed."""

    def build(seed: int, size: int = 6) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return (
            torch.randn(size, FEATURES, generator=generator, dtype=torch.float64),
            torch.randint(CLASSES, (size,), generator=generator),
        )

    return build


@pytest.fixture
def distance() -> Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], float]:
    """Norm of the difference of two gradients, relative to the norm of the second."""

    def of(found: Mapping[str, Tensor], expected: Mapping[str, Any]) -> float:
        assert found.keys() == expected.keys()
        flat = [torch.cat([values[name].detach().flatten() for name in expected]) for values in (found, expected)]
        return ((flat[0] - flat[1]).norm() / flat[1].norm()).item()

    return of
