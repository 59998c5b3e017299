"""From alphas to mixing weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from darts_pl.errors import UserError

#: alphas [edges, candidates] -> mixing weights of the same shape; asked once per forward pass.
Relaxation = Callable[[Tensor], Tensor]


def softmax(alphas: Tensor) -> Tensor:
    """Softmax over the candidates of each edge (paper equation 2)."""
    return torch.softmax(alphas, dim=-1)


RELAXATIONS: dict[str, Relaxation] = {"softmax": softmax}


def relaxation(name: str) -> Relaxation:
    """The relaxation `name`.

    Raises:
        UserError: if it is unknown.
    """
    if name not in RELAXATIONS:
        raise UserError(f"unknown relaxation {name!r}; known: {', '.join(RELAXATIONS)}")
    return RELAXATIONS[name]
