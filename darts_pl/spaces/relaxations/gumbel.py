"""One operation per edge, drawn with a temperature that falls over the epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from darts_pl.settings import above, setting
from darts_pl.spaces.mixing import Alive
from darts_pl.spaces.relaxation import RELAXATIONS, Relaxation


@dataclass(frozen=True, kw_only=True)
class GumbelSettings:
    """A hard Gumbel-softmax whose temperature falls linearly."""

    tau_max: float = setting("temperature of the first epoch", above(0))
    tau_min: float = setting("temperature of the last epoch", above(0))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """A temperature falls."""
        if self.tau_min > self.tau_max:
            yield "tau_min", f"must be at most tau_max={self.tau_max}"


@RELAXATIONS.register("gumbel", settings=GumbelSettings)
class Gumbel(Relaxation):
    """Hard Gumbel-softmax (Dong and Yang, GDAS, CVPR 2019).

    With G = -log(Exp(1)), p = softmax((log_softmax(alpha) + G) / tau) and k = argmax p, the mixing
    weights are ``onehot(k) - p.detach() + p``: their values choose one operation per edge, and their
    gradient is that of p. Only the drawn operation is alive.

    Args:
        settings: of the section `relaxation`.

    Attributes:
        tau: the temperature now.
    """

    single_path = True

    def __init__(self, settings: GumbelSettings) -> None:
        super().__init__()
        self.tau_max, self.tau_min = settings.tau_max, settings.tau_min
        self.tau = settings.tau_max

    def expected(self, alphas: Tensor, live: Tensor | None) -> Tensor:
        return torch.softmax(_masked(alphas, live), dim=-1)

    def sampled(
        self, alphas: Tensor, live: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Alive | None]:
        logits = torch.log_softmax(_masked(alphas, live), dim=-1)
        while True:
            noise = self.draw(alphas, generator)
            soft = torch.softmax((logits + noise) / self.tau, dim=-1)
            index = soft.detach().argmax(dim=-1)
            finite = noise.isfinite().all() & soft.detach().isfinite().all()
            *drawn, valid = torch.cat([index, finite.view(1).long()]).tolist()  # the one wait for the device
            if valid:
                break
        hard = torch.zeros_like(soft).scatter_(1, index.unsqueeze(1), 1.0)
        alive = tuple(tuple(column == chosen for column in range(alphas.shape[1])) for chosen in drawn)
        return hard - soft.detach() + soft, alive

    def draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Gumbel noise, -log(Exp(1)); an infinite one is drawn again by `sampled`."""
        return -torch.empty_like(like).exponential_(generator=generator).log()

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """tau_max in the first epoch and exactly tau_min in the last one, linear in between."""
        done = 1.0 if epoch >= epochs - 1 else epoch / (epochs - 1)
        self.tau = self.tau_max * (1 - done) + self.tau_min * done

    def metrics(self) -> Mapping[str, float]:
        return {"temperature": self.tau}


def _masked(alphas: Tensor, live: Tensor | None) -> Tensor:
    return alphas if live is None else alphas.masked_fill(~live, float("-inf"))
