"""What watches a search and may end it or go back: the group `observers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from darts_pl.registry import Registry

if TYPE_CHECKING:
    from darts_pl.bilevel.orders import AlphaGradient
    from darts_pl.bilevel.step import SearchStep


@dataclass(frozen=True)
class Stop:
    """End the search; its genotype is derived from the supernet as it was after `epoch` (counted from 0).

    Where the observer keeps no states so far back (`keeps_epochs`), it is the strongest genotype of that epoch.
    """

    epoch: int


@dataclass(frozen=True)
class RollBack:
    """Go back to the state after `epoch` (counted from 0), with some settings changed, and on from there.

    Args:
        epoch: whose end the search goes back to.
        changes: new values of the weight optimizer's settings, such as ``{"weight_decay": 3e-3}``.
    """

    epoch: int
    changes: Mapping[str, float]


class Observer:
    """Sees every step of a search; subclasses override what they need. Plain torch, without a Trainer."""

    #: Whether the gradient of the weights on the valid batch is computed for it.
    needs_valid_weight_gradient = False
    #: How many epochs a `RollBack` or a `Stop` may go back; their checkpoints are kept.
    keeps_epochs = 0

    def start(self, epochs: int) -> None:
        """The search begins, or goes on.

        Args:
            epochs: of the whole search.
        """

    def on_step_start(self, step: int, search: SearchStep) -> None:
        """A step begins; nothing has been computed.

        Args:
            step: number of the step, counted from 0.
            search: gives the supernet and the optimizers.
        """

    def on_alpha_gradient(self, step: int, result: AlphaGradient) -> None:
        """The gradient of the architecture parameters is known; they have not moved yet.

        Args:
            step: number of the step, counted from 0.
            result: on all ranks the same.
        """

    def on_weight_gradient(self, step: int, gradients: dict[str, Tensor | None]) -> None:
        """The averaged gradient of the train loss is known, before clipping.

        Args:
            step: number of the step.
            gradients: by the names of `Supernet.weights`; an observer may set one to None, whose weight
                then does not move, by momentum or weight decay either.
        """

    def on_clipped_gradient(self, step: int, gradients: Mapping[str, Tensor | None]) -> None:
        """The gradient as the weight optimizer will read it.

        Args:
            step: number of the step.
            gradients: by the names of `Supernet.weights`; None for a weight that does not move.
        """

    def frozen_entries(self) -> Mapping[str, Tensor]:
        """By the names of `Supernet.weights` a mask, bool, of the weight's shape or one that is broadcast to it.

        Where it is true the weight does not move, whatever momentum and weight decay are, its gradient does
        not count in the norm that is clipped, and the virtual step of the second order leaves it in place.
        """
        return {}

    def on_weights_stepped(self, step: int) -> None:
        """The weights have moved."""

    def on_epoch_end(self, epoch: int, search: SearchStep) -> Stop | RollBack | None:
        """The epoch is over and validated.

        Args:
            epoch: counted from 0.
            search: gives the supernet and what a step needs.
        """
        return None

    def rolled_back(self, then: Mapping[str, Any]) -> None:
        """The search has gone back to an earlier epoch; by default an observer keeps what it knows.

        Args:
            then: what `state_dict` gave after that epoch.
        """

    def metrics(self) -> Mapping[str, float]:
        """Numbers to log at the end of the epoch, by name."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values that a resumed search needs."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes what `state_dict` gave."""


#: By name, what makes an `Observer`; given its settings where it has some.
OBSERVERS: Registry[Callable[..., Observer]] = Registry("observer")
