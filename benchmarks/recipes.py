"""How both forms are stepped: the published settings (papers and code; `conf/` has their sources)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class SearchRecipe:
    """SGD for the weights, Adam for the alphas.

    Args:
        lr, momentum, weight_decay, clip: of the weights.
        alpha_lr, betas, alpha_decay: of the alphas.
        clip_virtual: whether the virtual step and its vector are clipped too.
        radius: of the central difference.
    """

    lr: float
    momentum: float
    weight_decay: float
    clip: float
    alpha_lr: float
    betas: tuple[float, float]
    alpha_decay: float = 1e-3
    clip_virtual: bool = False
    radius: float = 0.01

    def adam(self, alphas: Iterable[Tensor]) -> torch.optim.Adam:
        """The optimizer of the alphas, one tensor at a time."""
        return torch.optim.Adam(alphas, self.alpha_lr, self.betas, weight_decay=self.alpha_decay, foreach=False)


@dataclass(frozen=True)
class TrainingRecipe:
    """SGD of a training from scratch, its gradient clipped."""

    lr: float
    momentum: float
    weight_decay: float
    clip: float


CNN_SEARCH = SearchRecipe(0.025, 0.9, 3e-4, 5.0, 3e-4, (0.5, 0.999))
RNN_SEARCH = SearchRecipe(20.0, 0.0, 5e-7, 0.25, 3e-3, (0.9, 0.999), clip_virtual=True)
CLASSIFIER = TrainingRecipe(0.025, 0.9, 3e-4, 5.0)
LANGUAGE_MODEL = TrainingRecipe(20.0, 0.0, 8e-7, 0.25)


def slow_sgd(weights: Iterable[Tensor], recipe: SearchRecipe | TrainingRecipe) -> torch.optim.SGD:
    """SGD that moves one tensor at a time."""
    return torch.optim.SGD(
        weights, recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, foreach=False
    )
