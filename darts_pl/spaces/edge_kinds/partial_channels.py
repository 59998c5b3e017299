"""Edges whose candidates read a part of the channels, while the others pass by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from darts_pl.errors import UserError
from darts_pl.settings import at_least, setting
from darts_pl.spaces.edges import EDGES, Edges, zero_node
from darts_pl.spaces.mixed import MixedEdges
from darts_pl.spaces.mixing import Alive
from darts_pl.spaces.skip import Skip


class PartialPart(NamedTuple):
    """What one edge hands to its target node.

    Args:
        mixed: the candidates' weighted sum [B, C/k, H', W'], times the edge weight; None = no candidate
            is computed.
        bypass: the channels that pass by [B, C - C/k, H', W'], the same for all edges that leave a
            node; None with k = 1.
        weight: the edge weight, a scalar tensor; None = 1.
        like: gives the size of `mixed` where that is None: [B, C/k, H, W] before the stride.
        stride: of the edge.
    """

    mixed: Tensor | None
    bypass: Tensor | None
    weight: Tensor | None
    like: Tensor
    stride: int


class PartialEdges(MixedEdges):
    """The K edges that leave one node: all of them read the same C/k channels, and share the bypass.

    Args:
        candidates: the candidates of each of the K edges.
        channels: C, of the node.
        stride: of every candidate; at stride 2 the bypass goes through a 2x2 maximum.
        skip: what happens to skip connections, among the channels that are read.
        k: a candidate reads the first C/k channels.
    """

    def __init__(self, candidates: Sequence[Sequence[str]], channels: int, stride: int, skip: Skip, k: int) -> None:
        super().__init__(candidates, channels // k, stride, skip)
        self.stride = stride
        self.k = k

    def forward(
        self, node: Tensor, weights: Tensor, alive: Alive | None = None, edges: Tensor | None = None
    ) -> list[PartialPart | None]:
        """What each edge hands over; an edge of which no candidate is alive, "none" included, hands over nothing."""
        read, bypass = node, None
        if self.k > 1:
            read = node[:, : self.channels].contiguous(memory_format=torch.channels_last)
            bypass = self._bypass(node)
        mixed = super().forward(read, weights, alive, edges)
        scalars = [None] * self.edges if edges is None else edges.unbind(0)
        return [
            None
            if alive is not None and not any(alive[position])
            else PartialPart(part, bypass, scalar, read, self.stride)
            for position, (part, scalar) in enumerate(zip(mixed, scalars, strict=True))
        ]

    def _bypass(self, node: Tensor) -> Tensor:
        rest = node[:, self.channels :]
        if self.stride == 1:
            return rest
        # Rounded up, as the candidates are, so that maps of odd size fit; the authors' code rounds down.
        return torch.nn.functional.max_pool2d(rest, 2, 2, ceil_mode=True)


@dataclass(frozen=True, kw_only=True)
class PartialChannelsSettings:
    """Partial channel connections."""

    k: int = setting("candidates read 1/k of the channels, which k must divide", at_least(1))
    edge_weights: bool = setting("whether every edge has a weight of its own, trained on the valid split")


@EDGES.register("partial_channels", settings=PartialChannelsSettings)
class PartialChannels(Edges):
    """Partial channel connections and edge normalisation (Xu et al., PC-DARTS, ICLR 2020, equations 2 and 3).

    A node is ``shuffle(cat[sum_e b_e * m_e, sum_e b_e * r_e])`` with m_e the mixed candidates of edge e
    on the first C/k channels, r_e the other channels of its source, and b_e the edge weight. The
    shuffle moves channel g * C/k + i to i * k + g. Both sums are taken before the shuffle, which is
    linear, so that it is done once per node.

    Args:
        settings: of the section `edges`.
    """

    def __init__(self, settings: PartialChannelsSettings) -> None:
        self.k = settings.k
        self.edge_weights = settings.edge_weights
        self.on_maps = settings.k > 1

    def build(self, candidates: Sequence[Sequence[str]], channels: int, stride: int, skip: Skip) -> PartialEdges:
        if channels % self.k or (stride == 2 and channels == self.k):
            raise UserError(
                f"edges.k={self.k}: must divide the channels of every cell; {channels} is not such a number"
            )
        return PartialEdges(candidates, channels, stride, skip, self.k)

    def finish(self, parts: Sequence[PartialPart]) -> Tensor:
        found = [part.mixed for part in parts if part.mixed is not None]
        mixed = super().finish(found) if found else zero_node(parts[0].like, parts[0].stride)
        if self.k == 1:
            return mixed
        bypass = _weighted_sum(parts)
        groups = [
            mixed.permute(0, 2, 3, 1).unsqueeze(4),  # [B, H', W', C/k, 1]
            bypass.permute(0, 2, 3, 1).unflatten(3, (self.k - 1, -1)).transpose(3, 4),  # [B, H', W', C/k, k-1]
        ]
        return torch.cat(groups, dim=4).flatten(3).permute(0, 3, 1, 2)


def _weighted_sum(parts: Sequence[PartialPart]) -> Tensor:
    """The sum of the bypasses, each times its edge weight."""
    total: Tensor | None = None
    for index, part in enumerate(parts):
        assert part.bypass is not None
        if total is None:
            total = part.bypass if part.weight is None else part.bypass * part.weight
        elif part.weight is not None:
            total = total.addcmul_(part.bypass, part.weight)  # the first product is our own
        else:
            total = total + part.bypass if index == 1 else total.add_(part.bypass)
    assert total is not None
    return total
