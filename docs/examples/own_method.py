"""A method of one's own: a relaxation with a second architecture parameter and a schedule, and a regulariser."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from darts_pl.bilevel import REGULARISERS, Regulariser
from darts_pl.settings import above, at_least, setting
from darts_pl.spaces import RELAXATIONS, Relaxation, Supernet


@dataclass(frozen=True, kw_only=True)
class TemperedSettings:
    """Softmax with a temperature that falls to 1 and a sharpness that is learned."""

    hottest: float = setting("temperature in the first epoch", above(0))


@RELAXATIONS.register("tempered", settings=TemperedSettings)
class Tempered(Relaxation):
    """``softmax(exp(sharpness) * alphas / temperature)`` over the candidates of each edge."""

    def __init__(self, settings: TemperedSettings) -> None:
        super().__init__()
        self.hottest = settings.hottest
        self.temperature = settings.hottest
        self.sharpness = nn.Parameter(torch.zeros(()))  # every Parameter of a relaxation is an architecture parameter

    def expected(self, alphas: Tensor, live: Tensor | None) -> Tensor:
        if live is not None:
            alphas = alphas.masked_fill(~live, float("-inf"))
        return torch.softmax(self.sharpness.exp() * alphas / self.temperature, dim=-1)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        done = epoch / max(epochs - 1, 1)
        self.temperature = self.hottest + (1 - self.hottest) * done


@dataclass(frozen=True, kw_only=True)
class SpreadSettings:
    """A term that keeps the mixing weights of an edge from deciding too early."""

    strength: float = setting("factor of the term", at_least(0))


@REGULARISERS.register("spread", settings=SpreadSettings)
class Spread(Regulariser):
    """``strength`` times the sum of the squared mixing weights."""

    def __init__(self, settings: SpreadSettings) -> None:
        self.strength = settings.strength

    def __call__(self, supernet: Supernet) -> Tensor:
        mixing = supernet.mixing().values()
        return self.strength * torch.stack([one.weights.square().sum() for one in mixing]).sum()
