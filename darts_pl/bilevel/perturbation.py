"""What replaces the mixing weights in the weight step: the group `perturbation`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch

from darts_pl.bilevel.inner import Mean
from darts_pl.registry import Registry
from darts_pl.spaces import Mixing, Supernet


class Perturbation(ABC):
    """Replaces mixing weights in the weight step only; the alphas and later passes see nothing of it."""

    @abstractmethod
    def __call__(
        self,
        supernet: Supernet,
        mixing: Mapping[str, Mixing],
        train: Any,
        generator: torch.Generator,
        mean: Mean,
    ) -> Mapping[str, Mixing]:
        """The mixing of the weight step.

        Args:
            supernet: the network, which must be as before afterwards.
            mixing: as the step drew it, without a graph.
            train: batch of the train split.
            generator: what is drawn from; the same on all ranks.
            mean: mean over ranks.
        """

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set what depends on the epoch, such as a radius.

        Args:
            epoch: of the stage, counted from 0.
            epochs: number of epochs of the stage.
        """
        return  # most perturbations are the same in every epoch

    def metrics(self) -> Mapping[str, float]:
        """Numbers to log at the end of the epoch, by name, such as the radius."""
        return {}


#: By name, what makes a `Perturbation`; given its settings where it has some.
PERTURBATIONS: Registry[Callable[..., Perturbation]] = Registry("perturbation")


@PERTURBATIONS.register("none")
class NoPerturbation(Perturbation):
    """Leaves the mixing weights as they are."""

    def __call__(
        self,
        supernet: Supernet,
        mixing: Mapping[str, Mixing],
        train: Any,
        generator: torch.Generator,
        mean: Mean,
    ) -> Mapping[str, Mixing]:
        return mixing
