"""Edges whose mixed output is dropped for some samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from darts_pl.settings import between, setting
from darts_pl.spaces.edges import EDGES, Edges
from darts_pl.spaces.mixed import MixedEdges
from darts_pl.spaces.mixing import Alive
from darts_pl.spaces.skip import Skip


class DropPathEdges(MixedEdges):
    """The K edges that leave one node, each dropped for a sample with a probability, in training only.

    Args:
        candidates, channels, stride, skip: see `MixedEdges`.
        rate: the probability in the last epoch.

    Attributes:
        drop: a dropout, with the probability now.
    """

    def __init__(
        self, candidates: Sequence[Sequence[str]], channels: int, stride: int, skip: Skip, rate: float
    ) -> None:
        super().__init__(candidates, channels, stride, skip)
        self.rate = rate
        self.drop = nn.Dropout(0.0)  # what turns dropout off, as a score does, turns this off

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """0 in the first epoch and `rate` in the last one, linear in between."""
        super().start_epoch(epoch, epochs)
        self.drop.p = self.rate * (1.0 if epoch >= epochs - 1 else epoch / (epochs - 1))

    def forward(
        self, node: Tensor, weights: Tensor, alive: Alive | None = None, edges: Tensor | None = None
    ) -> list[Tensor | None]:
        """For each edge the map [B, C, H', W'] that it adds to its target node; None adds nothing."""
        parts = super().forward(node, weights, alive, edges)
        if not self.drop.training or self.drop.p == 0:
            return parts
        exact = torch.promote_types(node.dtype, torch.float32)  # 1 / (1 - p) is not rounded to less than float32
        masks = self.drop(torch.ones(self.edges, len(node), 1, 1, 1, device=node.device, dtype=exact))
        return [None if part is None else part * mask.to(part) for part, mask in zip(parts, masks, strict=True)]


@dataclass(frozen=True, kw_only=True)
class DropPathSettings:
    """Drop-path in the search network."""

    rate: float = setting(
        "probability in the last epoch that an edge is dropped for a sample", between(0, 1, with_high=False)
    )


@EDGES.register("drop_path", settings=DropPathSettings)
class DropPath(Edges):
    """Plain edges, each of which is dropped for a sample with a probability that grows over the epochs.

    What is kept is divided by the probability of keeping it (Zela et al., "Understanding and
    Robustifying Differentiable Architecture Search", ICLR 2020, section 5.1).

    Args:
        settings: of the section `edges`.
    """

    def __init__(self, settings: DropPathSettings) -> None:
        self.rate = settings.rate
        self.on_maps = settings.rate > 0

    def build(self, candidates: Sequence[Sequence[str]], channels: int, stride: int, skip: Skip) -> DropPathEdges:
        return DropPathEdges(candidates, channels, stride, skip, self.rate)
