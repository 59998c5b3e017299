"""From alphas to mixing weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from darts_pl.registry import Registry

#: alphas [edges, candidates] -> mixing weights of the same shape; asked once per forward pass.
Relaxation = Callable[[Tensor], Tensor]


RELAXATIONS: Registry[Relaxation] = Registry("relaxation")


@RELAXATIONS.register("softmax")
def softmax(alphas: Tensor) -> Tensor:
    """Softmax over the candidates of each edge (paper equation 2)."""
    return torch.softmax(alphas, dim=-1)


def relaxation(name: str) -> Relaxation:
    """The relaxation `name`.

    Raises:
        UserError: if it is unknown.
    """
    return RELAXATIONS.get(name)
