"""The smooth network and batches for it, in float64."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.smooth import CLASSES, FEATURES, SmoothNet, smooth_loss


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
