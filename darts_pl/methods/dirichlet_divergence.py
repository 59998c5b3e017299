"""The distance of a Dirichlet distribution from the flat one, as a regulariser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Dirichlet as Distribution
from torch.distributions import kl_divergence

from darts_pl.bilevel import REGULARISERS, Regulariser
from darts_pl.settings import above, setting
from darts_pl.spaces import Dirichlet, Parts, Supernet


@dataclass(frozen=True, kw_only=True)
class DirichletDivergenceSettings:
    """The divergence's weight in the loss."""

    scale: float = setting("weight of the divergence in the loss of the alphas", above(0))


@REGULARISERS.register("kl", settings=DirichletDivergenceSettings)
class DirichletDivergence(Regulariser):
    """scale * sum over all edges of KL(Dirichlet(c) || Dirichlet(1)) (Chen et al., DrNAS, ICLR 2021).

    Args:
        settings: of the section `regulariser`.
    """

    def __init__(self, settings: DirichletDivergenceSettings) -> None:
        self.scale = settings.scale

    def __call__(self, supernet: Supernet) -> Tensor:
        relaxation = supernet.arch.relaxation
        assert isinstance(relaxation, Dirichlet)
        total = []
        for alphas in supernet.alphas.values():
            concentration = relaxation.concentration(alphas)
            flat = Distribution(torch.ones_like(concentration), validate_args=False)
            total.append(kl_divergence(Distribution(concentration, validate_args=False), flat).sum())
        return self.scale * torch.stack(total).sum()

    def requires(self, parts: Parts) -> Iterator[str]:
        if not isinstance(parts.relaxation, Dirichlet):
            yield "regulariser=kl: needs the concentrations of a Dirichlet distribution; add relaxation=dirichlet"
