"""What happens to skip connections in a supernet: the group `skip`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import nn

from darts_pl.ops import EdgeOperation
from darts_pl.registry import Registry


class Skip:
    """Leaves skip connections as they are. Subclasses wrap candidates or add a path to every edge."""

    #: Whether it does something that only cells of feature maps [B, C, H, W] have.
    on_maps = False
    #: Why compiled code cannot serve it (`hardware.compile`); None = it can.
    not_compiled: str | None = None

    def wrap(self, name: str, operation: EdgeOperation, stride: int) -> EdgeOperation:
        """What takes the place of a candidate.

        Args:
            name: of the candidate.
            operation: for all K edges that have it.
            stride: of the edges.
        """
        return operation

    def extra(self, channels: int, stride: int, edges: int) -> nn.Module | None:
        """A module from a node's output [B, C, H, W] to what each of K edges adds, [B, C, H', W'] for
        all K or [B, K*C, H', W']; None adds nothing.

        Args:
            channels: C.
            stride: of the edges.
            edges: K.

        The module may return None as well: nothing is added in this pass.
        """
        return None

    def requires(self, stages: int) -> Iterator[str]:
        """What is wrong with its settings for a search of so many stages, one reason each."""
        yield from ()


#: By name, what makes a `Skip`; given its settings where it has some.
SKIPS: Registry[Callable[..., Skip]] = Registry("skip")
SKIPS.add("plain", Skip)
