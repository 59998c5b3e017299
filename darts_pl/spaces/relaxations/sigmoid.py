"""Mixing weights that do not compete."""

from __future__ import annotations

import torch
from torch import Tensor

from darts_pl.spaces.relaxation import RELAXATIONS, Relaxation


@RELAXATIONS.register("sigmoid")
class Sigmoid(Relaxation):
    """Each mixing weight is the sigmoid of its own alpha (Chu et al., Fair DARTS, ECCV 2020).

    A candidate gains nothing from the weakness of the others, so an edge may keep several of them, or none.
    """

    competing = False

    def expected(self, alphas: Tensor, live: Tensor | None) -> Tensor:
        weights = torch.sigmoid(alphas)
        return weights if live is None else weights.masked_fill(~live, 0.0)

    def entropy(self, weights: Tensor) -> Tensor:
        """Mean over the edges of the sum over the candidates of -p log p - (1-p) log(1-p), in nats."""
        return (torch.special.entr(weights) + torch.special.entr(1 - weights)).sum(-1).mean()
