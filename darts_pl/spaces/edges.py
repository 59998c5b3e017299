"""The edges of a convolutional supernet: the group `edges`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from darts_pl.registry import Registry
from darts_pl.spaces.mixing import Alive
from darts_pl.spaces.skip import Skip

#: What one edge hands to its target node, for `Edges.finish` of the same kind of edges.
Part = Any


class LeavingEdges(nn.Module, ABC):
    """The K edges that leave one node."""

    @abstractmethod
    def forward(
        self, node: Tensor, weights: Tensor, alive: Alive | None = None, edges: Tensor | None = None
    ) -> list[Part | None]:
        """What each of the K edges hands to its target node; None = nothing.

        Args:
            node: the node's output [B, C, H, W].
            weights: mixing weights [K, candidates].
            alive: [K][candidates], which candidates are computed; None = all.
            edges: edge weights [K]; None = 1.
        """


class Edges(ABC):
    """How the edges of a supernet compute: makes the edges that leave a node, and joins those that enter one."""

    #: Whether every edge has a weight of its own, which the valid split trains beside the alphas.
    edge_weights = False
    #: Whether they do something that only cells of feature maps [B, C, H, W] have.
    on_maps = False

    @abstractmethod
    def build(self, candidates: Sequence[Sequence[str]], channels: int, stride: int, skip: Skip) -> LeavingEdges:
        """The K edges that leave one node.

        Args:
            candidates: of each of the K edges.
            channels: C, of the node's output and of what the edges give.
            stride: of the edges.
            skip: what happens to skip connections.

        Raises:
            UserError: if this kind of edges cannot have so many channels.
        """

    def finish(self, parts: Sequence[Part]) -> Tensor:
        """The target node's output [B, C, H', W'].

        Args:
            parts: of all edges that enter the node, at least one.
        """
        total = parts[0]
        for index, part in enumerate(parts[1:]):
            total = total + part if index == 0 else total.add_(part)
        assert isinstance(total, Tensor)
        return total


#: By name, what makes `Edges`; given its settings where it has some.
EDGES: Registry[Callable[..., Edges]] = Registry("edges")


def zero_node(like: Tensor, stride: int) -> Tensor:
    """The output of a node that nothing enters, for a cell of that stride that reads `like` [B, C, H, W]."""
    return torch.zeros_like(like[:, :, ::stride, ::stride])
