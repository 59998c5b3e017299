"""Mixing weights that are drawn from a Dirichlet distribution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from darts_pl.spaces.mixing import Alive
from darts_pl.spaces.relaxation import RELAXATIONS, Relaxation


@RELAXATIONS.register("dirichlet")
class Dirichlet(Relaxation):
    """Each edge's mixing weights are x ~ Dirichlet(elu(alpha) + 1) (Chen et al., DrNAS, ICLR 2021).

    Removed candidates take part in the draw and are then set to 0, and the others are divided by their
    sum: the result is Dirichlet distributed with the concentrations of the living ones.
    """

    def concentration(self, alphas: Tensor) -> Tensor:
        """elu(alpha) + 1, above 0, of the shape of the alphas; 1 for an alpha of 0."""
        return torch.nn.functional.elu(alphas) + 1

    def expected(self, alphas: Tensor, live: Tensor | None) -> Tensor:
        """The mean of the distribution."""
        return _living(self.concentration(alphas), live)

    def sampled(
        self, alphas: Tensor, live: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Alive | None]:
        concentration = self.concentration(alphas)
        drawn = self.draw(concentration.detach(), generator)
        return _living(_Reparametrised.apply(concentration, drawn), live), None

    def draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """A sample of each row.

        Args:
            like: the concentrations [edges, candidates].
            generator: on the device of `like`; None = the global one.
        """
        return torch._sample_dirichlet(like, generator)


class _Reparametrised(torch.autograd.Function):
    """A drawn sample as a function of the concentrations: torch's own gradient, for any generator."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, drawn: Tensor) -> Tensor:
        ctx.save_for_backward(concentration, drawn)
        return drawn.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        concentration, drawn = ctx.saved_tensors
        total = concentration.sum(-1, keepdim=True).expand_as(concentration)
        of_concentration = torch._dirichlet_grad(drawn, concentration, total)
        return of_concentration * (gradient - (drawn * gradient).sum(-1, keepdim=True)), None


def _living(weights: Tensor, live: Tensor | None) -> Tensor:
    """`weights` with 0 for removed candidates, each row divided by its sum."""
    kept = weights if live is None else weights * live
    return kept / kept.sum(-1, keepdim=True)
