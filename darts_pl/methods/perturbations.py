"""Mixing weights that are perturbed in the weight step, so that the loss becomes smooth around them (SmoothDARTS)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from darts_pl.bilevel import (
    PERTURBATIONS,
    Mean,
    Perturbation,
    device_of,
    evaluate,
    evaluation_mode,
    gradients,
    no_trace,
    seeded,
)
from darts_pl.settings import above, at_least, setting
from darts_pl.spaces import Mixing, Supernet


def as_mixing(weights: Tensor, total: Tensor) -> Tensor:
    """Mixing weights that are clamped to [0, 1] and scaled so that each row has a given sum.

    A row without a positive entry becomes one-hot at the entry that was largest.

    Args:
        weights: [edges, candidates]; -inf where there is no candidate.
        total: sum of each row [edges, 1].
    """
    clamped = weights.clamp(0.0, 1.0)
    largest = torch.zeros_like(clamped).scatter_(1, weights.argmax(1, keepdim=True), 1.0)
    sums = clamped.sum(1, keepdim=True)
    return torch.where(sums > 0, clamped / sums.clamp_min(torch.finfo(sums.dtype).tiny), largest) * total


@dataclass(frozen=True, kw_only=True)
class RandomPerturbationSettings:
    """A radius that grows linearly over the epochs."""

    epsilon_min: float = setting("radius in the first epoch", at_least(0))
    epsilon_max: float = setting("radius in the last epoch", above(0))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """A radius grows."""
        if self.epsilon_min > self.epsilon_max:
            yield "epsilon_min", f"must be at most epsilon_max={self.epsilon_max}"


class MixingPerturbation(Perturbation):
    """Moves every mixing weight by at most epsilon (norm: the largest entry), and back to a mixing.

    Chen and Hsieh, "Stabilizing Differentiable Architecture Search via Perturbation-based
    Regularization", ICML 2020, equations 5 to 8. Candidates that a pass does not compute stay at
    their weight, and each row keeps its sum. The alphas are not touched.

    Args:
        settings: gives the radii.

    Attributes:
        epsilon: the radius now.
    """

    def __init__(self, settings: RandomPerturbationSettings) -> None:
        self.epsilon_min, self.epsilon_max = settings.epsilon_min, settings.epsilon_max
        self.epsilon = settings.epsilon_min

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """epsilon_min in the first epoch and exactly epsilon_max in the last one, linear in between."""
        done = 1.0 if epoch >= epochs - 1 else epoch / (epochs - 1)
        self.epsilon = self.epsilon_min * (1 - done) + self.epsilon_max * done

    def metrics(self) -> Mapping[str, float]:
        return {"epsilon": self.epsilon}

    def draw(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform noise in [-epsilon, epsilon].

        Args:
            like: gives shape, device and dtype.
            generator: what is drawn from.
        """
        return torch.empty_like(like).uniform_(-self.epsilon, self.epsilon, generator=generator)

    def __call__(
        self,
        supernet: Supernet,
        mixing: Mapping[str, Mixing],
        train: Any,
        generator: torch.Generator,
        mean: Mean,
    ) -> Mapping[str, Mixing]:
        absent = {name: _absent(values) for name, values in mixing.items()}
        found = self.perturbed(supernet, mixing, absent, train, generator, mean)
        return {
            name: values._replace(weights=_where(absent[name], values.weights, found[name]))
            for name, values in mixing.items()
        }

    @abstractmethod
    def perturbed(
        self,
        supernet: Supernet,
        mixing: Mapping[str, Mixing],
        absent: Mapping[str, Tensor | None],
        train: Any,
        generator: torch.Generator,
        mean: Mean,
    ) -> Mapping[str, Tensor]:
        """By cell type the perturbed mixing weights; those of absent candidates are not read.

        Args:
            supernet, mixing, train, generator, mean: see `Perturbation`.
            absent: which candidates are not computed, bool [edges, candidates]; None = none of them.
        """

    def random(
        self, mixing: Mapping[str, Mixing], absent: Mapping[str, Tensor | None], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The mixing weights with uniform noise."""
        return {
            name: _projected(values.weights, values.weights + self.draw(values.weights, generator), absent[name])
            for name, values in mixing.items()
        }


@PERTURBATIONS.register("random", settings=RandomPerturbationSettings)
class RandomPerturbation(MixingPerturbation):
    """SDARTS-RS: uniform noise in [-epsilon, epsilon] is added to each mixing weight."""

    def perturbed(
        self,
        supernet: Supernet,
        mixing: Mapping[str, Mixing],
        absent: Mapping[str, Tensor | None],
        train: Any,
        generator: torch.Generator,
        mean: Mean,
    ) -> Mapping[str, Tensor]:
        return self.random(mixing, absent, generator)


@dataclass(frozen=True, kw_only=True)
class AdversarialPerturbationSettings(RandomPerturbationSettings):
    """Projected gradient ascent of the train loss."""

    steps: int = setting("steps of the ascent, each of length 2 * epsilon / steps", at_least(1))
    random_start: bool = setting("whether the ascent starts at a random perturbation")


@PERTURBATIONS.register("adversarial", settings=AdversarialPerturbationSettings)
class AdversarialPerturbation(MixingPerturbation):
    """SDARTS-ADV: the mixing weights near the present ones at which the train loss is largest.

    From a random perturbation the ascent takes steps of 2 * epsilon / steps along the sign of
    dL_train/dp, each brought back to within epsilon of the mixing weights and to a mixing, with the
    network in evaluation mode. Where the loss has not grown, the mixing weights stay as they are.
    """

    def __init__(self, settings: AdversarialPerturbationSettings) -> None:
        super().__init__(settings)
        self.steps, self.random_start = settings.steps, settings.random_start

    def perturbed(
        self,
        supernet: Supernet,
        mixing: Mapping[str, Mixing],
        absent: Mapping[str, Tensor | None],
        train: Any,
        generator: torch.Generator,
        mean: Mean,
    ) -> Mapping[str, Tensor]:
        present = {name: values.weights.detach() for name, values in mixing.items()}
        weights = {name: weight.detach() for name, weight in supernet.weights().items()}
        step, seed, device = 2 * self.epsilon / self.steps, generator.initial_seed(), device_of(supernet)

        def loss(at: Mapping[str, Tensor]) -> Tensor:
            moved = {name: values._replace(weights=at[name]) for name, values in mixing.items()}
            with seeded(seed, device):  # every pass draws the same, such as the candidate "noise"
                return evaluate(supernet, train, moved, weights).loss

        found = self.random(mixing, absent, generator) if self.random_start else present
        with no_trace(supernet), evaluation_mode(supernet):
            with torch.no_grad():
                before = loss(present)
            for _ in range(self.steps):
                at = {name: values.detach().requires_grad_() for name, values in found.items()}
                ascent = mean(gradients(loss(at), list(at.values())))
                found = {
                    name: _projected(
                        present[name], self.within(present[name], values.detach() + step * sign), absent[name]
                    )
                    for (name, values), sign in zip(at.items(), (one.sign() for one in ascent), strict=True)
                }
            with torch.no_grad():
                before, after = mean([before, loss(found)])
        return {name: torch.where(after > before, values, present[name]) for name, values in found.items()}

    def within(self, present: Tensor, moved: Tensor) -> Tensor:
        """`moved`, brought back to within epsilon of `present`."""
        return present + (moved - present).clamp(-self.epsilon, self.epsilon)


def _absent(mixing: Mixing) -> Tensor | None:
    """Which candidates are not computed, bool [edges, candidates]; None = all are."""
    return None if mixing.alive is None else ~torch.tensor(mixing.alive, device=mixing.weights.device)


def _where(absent: Tensor | None, there: Tensor, elsewhere: Tensor) -> Tensor:
    return elsewhere if absent is None else torch.where(absent, there, elsewhere)


def _projected(present: Tensor, moved: Tensor, absent: Tensor | None) -> Tensor:
    """`moved` as a mixing with the sums that the rows of `present` have over the candidates that are computed."""
    if absent is None:
        return as_mixing(moved, present.sum(1, keepdim=True))
    total = present.masked_fill(absent, 0.0).sum(1, keepdim=True)
    return as_mixing(moved.masked_fill(absent, float("-inf")), total)
