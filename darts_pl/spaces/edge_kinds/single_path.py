"""Edges of which one drawn candidate is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from darts_pl.settings import setting
from darts_pl.spaces.edges import EDGES, Edges, zero_node
from darts_pl.spaces.mixed import MixedEdges
from darts_pl.spaces.mixing import Alive
from darts_pl.spaces.skip import Skip


class DrawnPart(NamedTuple):
    """What one edge hands to its target node.

    Args:
        drawn: the drawn candidate's output times its mixing weight [B, C, H', W']; None = "none" was drawn.
        others: the sum of the mixing weights that were not drawn, a scalar tensor of value 0.
        like: gives the size where `drawn` is None: [B, C, H, W] before the stride.
        stride: of the edge.
    """

    drawn: Tensor | None
    others: Tensor
    like: Tensor
    stride: int


class DrawnEdges(MixedEdges):
    """The K edges that leave one node, with what was not drawn added as scalars of value 0.

    Args:
        candidates, channels, stride, skip: see `MixedEdges`.
    """

    def __init__(self, candidates: Sequence[Sequence[str]], channels: int, stride: int, skip: Skip) -> None:
        super().__init__(candidates, channels, stride, skip)
        self.stride = stride

    def forward(
        self, node: Tensor, weights: Tensor, alive: Alive | None = None, edges: Tensor | None = None
    ) -> list[DrawnPart | None]:
        """What each edge hands over; an edge of which nothing is alive, "none" included, hands over nothing."""
        drawn = super().forward(node, weights, alive, edges)
        # A weight that was not drawn is exactly 0, and a drawn one is 1.
        others = torch.where(weights == 0, weights, 0.0).sum(1).unbind(0)
        return [
            None if alive is not None and not any(alive[position]) else DrawnPart(part, scalar, node, self.stride)
            for position, (part, scalar) in enumerate(zip(drawn, others, strict=True))
        ]


@dataclass(frozen=True, kw_only=True)
class SinglePathSettings:
    """One drawn candidate per edge."""

    undrawn: bool = setting("whether the mixing weights that were not drawn, of value 0, are added to the node")


@EDGES.register("single_path", settings=SinglePathSettings)
class SinglePath(Edges):
    """Of every edge only what was drawn is computed, grouped by operation for all edges that leave a node.

    The node is ``sum_e h_ek * op_k(x_e)`` with k the drawn candidate of edge e (Dong and Yang, GDAS, CVPR
    2019). With `undrawn` it is ``sum_e (h_ek * op_k(x_e) + sum_{j != k} h_ej)``, as the
    authors' code for NAS-Bench-201 computes it: the value is the same, but every mixing weight that was
    not drawn receives the sum of the gradient of its target node. With a relaxation that draws
    nothing, all candidates are computed.

    Args:
        settings: of the section `edges`.
    """

    def __init__(self, settings: SinglePathSettings) -> None:
        self.undrawn = settings.undrawn
        self.on_maps = settings.undrawn

    def build(self, candidates: Sequence[Sequence[str]], channels: int, stride: int, skip: Skip) -> MixedEdges:
        kind = DrawnEdges if self.undrawn else MixedEdges
        return kind(candidates, channels, stride, skip)

    def finish(self, parts: Sequence[Tensor | DrawnPart]) -> Tensor:
        pairs = [part for part in parts if isinstance(part, DrawnPart)]
        if not pairs:
            return super().finish(parts)
        drawn = [part.drawn for part in pairs if part.drawn is not None]
        total = super().finish(drawn) if drawn else zero_node(pairs[0].like, pairs[0].stride)
        return total + torch.stack([part.others for part in pairs]).sum()
