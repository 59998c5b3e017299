"""A term that drives every mixing weight to 0 or to 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from darts_pl.bilevel import REGULARISERS, Regulariser
from darts_pl.settings import above, one_of, setting
from darts_pl.spaces import Parts, Supernet


@dataclass(frozen=True, kw_only=True)
class ZeroOneSettings:
    """The zero-one loss."""

    scale: float = setting("weight of the zero-one loss in the loss of the alphas", above(0))
    form: str = setting("which distance from 0.5 it makes larger on average", one_of("squared", "absolute"))


@REGULARISERS.register("zero_one", settings=ZeroOneSettings)
class ZeroOne(Regulariser):
    """`-scale * mean((p - 0.5)^2)` over the mixing weights p of all cell types, or `-scale * mean(|p - 0.5|)`.

    Source: Chu et al., "Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search", ECCV 2020;
    both forms are the paper's, the first one is that of the published search.

    Args:
        settings: of the section `regulariser`.
    """

    def __init__(self, settings: ZeroOneSettings) -> None:
        self.scale = settings.scale
        self.squared = settings.form == "squared"

    def __call__(self, supernet: Supernet) -> Tensor:
        total, count = torch.zeros(()), 0
        for name, mixing in supernet.mixing().items():
            distance = mixing.weights - 0.5
            distance = distance.square() if self.squared else distance.abs()
            mask = supernet.arch.live_mask(name)
            total = total.to(distance) + (distance if mask is None else distance * mask).sum()
            count += sum(sum(row) for row in supernet.arch.live(name))
        return -self.scale * total / count

    def requires(self, parts: Parts) -> Iterator[str]:
        if parts.relaxation.competing:
            yield "regulariser=zero_one: needs mixing weights that can all be 1; add relaxation=sigmoid"
