"""Observers of the curvature of the valid loss in the alphas: what warns of a search that collapses (R-DARTS)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from darts_pl.bilevel import OBSERVERS, Draws, Observer, RollBack, SearchStep, Stop, largest_alpha_eigenvalue
from darts_pl.settings import above, at_least, setting


@dataclass(frozen=True, kw_only=True)
class CurvatureSettings:
    """When the curvature is measured, and how exactly."""

    differentiates_twice: ClassVar[bool] = True

    every: int = setting("epochs between two measurements; the last epoch is measured too", at_least(1))
    tolerance: float = setting("largest relative residual of the eigenvector", above(0))


@OBSERVERS.register("curvature", settings=CurvatureSettings)
class Curvature(Observer):
    """Measures the largest eigenvalue of the Hessian of the valid loss in the alphas.

    Zela et al., ICLR 2020, section 4: where it grows, the cell that is derived becomes worse. The
    weight decay of the alphas is part of the loss, as in the authors' code. One valid batch is read,
    the first of each epoch.

    Args:
        settings: of the section `observers.curvature`.

    Attributes:
        values: the eigenvalues in the order in which they were measured.
    """

    def __init__(self, settings: CurvatureSettings) -> None:
        self.every, self.tolerance = settings.every, settings.tolerance
        self.epochs = 0
        self.values: list[float] = []

    def start(self, epochs: int) -> None:
        self.epochs = epochs

    def is_measured(self, epoch: int) -> bool:
        """Whether the curvature is measured after an epoch."""
        return epoch % self.every == 0 or epoch == self.epochs - 1

    def on_epoch_end(self, epoch: int, search: SearchStep) -> Stop | RollBack | None:
        if self.is_measured(epoch):
            assert search.valid_batch is not None, "the curvature is measured on a batch of the valid split"
            found = largest_alpha_eigenvalue(
                search.supernet,
                search.valid_batch(),
                weight_decay=search.alphas.param_groups[0]["weight_decay"],
                tolerance=self.tolerance,
                mean=search.mean,
                draws=Draws(search.seed, 0, epoch, 0),
            )
            self.values.append(found)
        return None

    def metrics(self) -> Mapping[str, float]:
        return {"eigenvalue": self.values[-1]} if self.values else {}

    def state_dict(self) -> dict[str, Any]:
        return {"values": list(self.values)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.values = list(state["values"])


def local_averages(values: Sequence[float], window: int) -> list[float]:
    """The means of the last `window` values, or of fewer at first, from the value number window // 2 + 1 on.

    Each belongs to the value window // 2 places before the last one that it contains.
    """
    ends = range(window // 2 + 1, len(values) + 1)
    return [math.fsum(values[max(0, end - window) : end]) / min(window, end) for end in ends]


@dataclass(frozen=True, kw_only=True)
class EarlyStopSettings(CurvatureSettings):
    """The rule: how far a local average of the eigenvalue may grow."""

    window: int = setting("eigenvalues in a local average", at_least(1))
    delta: int = setting("places between the two local averages that are compared", at_least(1))
    factor: float = setting("largest ratio of the newer average to the older one", above(0))
    first_epoch: int = setting("first epoch that the search may go back to", at_least(0))


@OBSERVERS.register("early_stop", settings=EarlyStopSettings)
class EarlyStop(Observer):
    """Ends a search where the curvature has grown too much, with the genotype from before it grew.

    Zela et al., ICLR 2020, section 4.3 (DARTS-ES) and the authors' code: where the newest local
    average of the eigenvalue is more than `factor` times the one `delta` places before, the genotype
    of the epoch that the older one belongs to is taken. It measures the curvature itself.

    Args:
        settings: of the section `observers.early_stop`.

    Attributes:
        curvature: measures it.
    """

    def __init__(self, settings: EarlyStopSettings) -> None:
        self.curvature = Curvature(settings)
        self.window, self.delta, self.factor = settings.window, settings.delta, settings.factor
        self.first_epoch = settings.first_epoch
        #: how many epochs the search goes back
        self.back = settings.every * (settings.delta + settings.window // 2)
        self.keeps_epochs = self.back

    def start(self, epochs: int) -> None:
        self.curvature.start(epochs)

    def on_epoch_end(self, epoch: int, search: SearchStep) -> Stop | RollBack | None:
        self.curvature.on_epoch_end(epoch, search)
        return self.action(self.epoch_to_take(epoch), search) if self.curvature.is_measured(epoch) else None

    def epoch_to_take(self, epoch: int) -> int | None:
        """The epoch from before the curvature grew, or None where it has not grown.

        Args:
            epoch: after which the newest eigenvalue was measured, counted from 0.
        """
        averages = local_averages(self.curvature.values, self.window)
        if epoch >= self.curvature.epochs - 1 or epoch - self.back < self.first_epoch or len(averages) <= self.delta:
            return None
        newest, older = averages[-1], averages[-1 - self.delta]
        return epoch - self.back if older > 0 and newest / older > self.factor else None

    def action(self, epoch: int | None, search: SearchStep) -> Stop | RollBack | None:
        """What is done where the curvature has grown.

        Args:
            epoch: from before it grew; None = it has not grown.
            search: the step.
        """
        return None if epoch is None else Stop(epoch)

    def metrics(self) -> Mapping[str, float]:
        averages = local_averages(self.curvature.values, self.window)
        newest = {"local_average": averages[-1]} if averages else {}
        return {**self.curvature.metrics(), **newest}

    def state_dict(self) -> dict[str, Any]:
        return self.curvature.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.curvature.load_state_dict(state)


@dataclass(frozen=True, kw_only=True)
class AdaptiveDecaySettings(EarlyStopSettings):
    """How the weight decay grows with each roll-back."""

    multiply: float = setting("factor of search.weights.weight_decay at each roll-back", above(1))
    largest: float = setting("largest weight decay; with it the search goes on to its end", above(0))
    forget: bool = setting("whether the eigenvalues after the epoch that the search goes back to are forgotten")


@OBSERVERS.register("adaptive_decay", settings=AdaptiveDecaySettings)
class AdaptiveDecay(EarlyStop):
    """Goes back to before the curvature grew, and on from there with more weight decay.

    Zela et al., ICLR 2020, section 5.3 (DARTS-ADA): the rule is that of `EarlyStop`.

    Args:
        settings: of the section `observers.adaptive_decay`.
    """

    def __init__(self, settings: AdaptiveDecaySettings) -> None:
        super().__init__(settings)
        self.multiply, self.largest, self.forget = settings.multiply, settings.largest, settings.forget

    def action(self, epoch: int | None, search: SearchStep) -> Stop | RollBack | None:
        if epoch is None:
            return None
        decay = self.multiply * search.weights.param_groups[0]["weight_decay"]
        above_largest = decay > self.largest and not math.isclose(decay, self.largest)
        return None if above_largest else RollBack(epoch, {"weight_decay": decay})

    def rolled_back(self, then: Mapping[str, Any]) -> None:
        if self.forget:
            self.load_state_dict(then)
