"""Terms that are added to the loss of the architecture parameters: the group `regulariser`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from torch import Tensor

from darts_pl.registry import Registry
from darts_pl.spaces import Parts, Supernet


class Regulariser(ABC):
    """A function of the architecture parameters alone. Every rank computes the same, so it is not averaged."""

    @abstractmethod
    def __call__(self, supernet: Supernet) -> Tensor | None:
        """A scalar whose gradient is added to that of the valid loss; None = nothing is added."""

    def requires(self, parts: Parts) -> Iterator[str]:
        """What is wrong with the parts of a supernet for this regulariser, one reason each."""
        yield from ()


#: By name, what makes a `Regulariser`; given its settings where it has some.
REGULARISERS: Registry[Callable[..., Regulariser]] = Registry("regulariser")


@REGULARISERS.register("none")
class NoRegulariser(Regulariser):
    """Adds nothing; weight decay is a setting of the alpha optimizer."""

    def __call__(self, supernet: Supernet) -> None:
        return None
