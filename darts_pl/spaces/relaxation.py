"""From architecture parameters to mixing weights: the group `relaxation`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from darts_pl.registry import Registry
from darts_pl.spaces.mixing import Alive


class Relaxation(nn.Module, ABC):
    """Turns the alphas of one cell type into mixing weights.

    Parameters of a relaxation are architecture parameters: the alpha optimizer moves them.
    A relaxation that draws random numbers overrides `sampled`, and draws in `draw` alone.
    """

    #: Whether one forward pass trains a single drawn path; such a supernet is also validated with draws.
    single_path = False
    #: Whether the mixing weights of an edge add up to 1, so that one grows at the expense of the others.
    competing = True

    @abstractmethod
    def expected(self, alphas: Tensor, live: Tensor | None) -> Tensor:
        """Mixing weights [edges, candidates] without any random number: what is logged and selected from.

        Args:
            alphas: [edges, candidates].
            live: bool [edges, candidates], which candidates exist; None = all. The others get 0.
        """

    def sampled(
        self, alphas: Tensor, live: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Alive | None]:
        """Mixing weights of one forward pass, and which candidates it computes (None = all live ones).

        Args:
            alphas, live: see `expected`.
            generator: what `draw` draws from.
        """
        return self.expected(alphas, live), None

    def draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """The noise of one forward pass.

        Args:
            like: gives shape, device and dtype.
            generator: on the device of `like`; None = the global one.

        Raises:
            RuntimeError: for a relaxation that draws nothing.
        """
        raise RuntimeError(f"{type(self).__name__} draws no random numbers")

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set what depends on the epoch, such as a temperature.

        Args:
            epoch: of the stage, counted from 0.
            epochs: number of epochs of the stage.
        """

    def entropy(self, weights: Tensor) -> Tensor:
        """How far the mixing weights are from a choice: mean over the edges of their entropy, in nats.

        Args:
            weights: expected mixing weights [edges, candidates].
        """
        return torch.special.entr(weights).sum(-1).mean()

    def equal_entropy(self, candidates: int) -> float:
        """The entropy of an edge with so many candidates that all have the same alpha, 0, in nats."""
        with torch.no_grad():
            return float(self.entropy(self.expected(torch.zeros(1, candidates), None)))

    def metrics(self) -> Mapping[str, float]:
        """Numbers to log at the end of the epoch, by name, such as the temperature."""
        return {}


#: By name, what makes a `Relaxation`; given its settings where it has some.
RELAXATIONS: Registry[Callable[..., Relaxation]] = Registry("relaxation")


@RELAXATIONS.register("softmax")
class Softmax(Relaxation):
    """Softmax over the candidates of each edge (paper equation 2)."""

    def expected(self, alphas: Tensor, live: Tensor | None) -> Tensor:
        return torch.softmax(alphas if live is None else alphas.masked_fill(~live, float("-inf")), dim=-1)
