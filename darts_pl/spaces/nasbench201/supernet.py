"""The search network of the NAS-Bench-201 space (Dong and Yang, ICLR 2020, section 2.1 and appendix C)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.ops import BatchNorm, EdgeOperation
from darts_pl.spaces.base import Parts
from darts_pl.spaces.edges import Part, zero_node
from darts_pl.spaces.mixing import Mixing, rows
from darts_pl.spaces.nasbench201.kind import CELL_TYPE
from darts_pl.spaces.nasbench201.network import body
from darts_pl.spaces.skip import Skip
from darts_pl.spaces.space import CellSpace, SearchSpace
from darts_pl.spaces.supernet import Outcome, Supernet

#: Operations that are another one while searching: here no BatchNorm follows a pooling.
IN_SEARCH: Mapping[str, str] = {"avg_pool_3x3": "avg_pool_3x3_plain"}


class BatchStatistics(Skip):
    """Makes every BatchNorm of the candidates use the statistics of the batch, and keep none.

    Args:
        skip: what else happens to skip connections.
    """

    def __init__(self, skip: Skip) -> None:
        self.skip = skip

    def wrap(self, name: str, operation: EdgeOperation, stride: int) -> EdgeOperation:
        operation = self.skip.wrap(name, operation, stride)
        for module in operation.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.track_running_stats = False
                module.running_mean = module.running_var = module.num_batches_tracked = None
        return operation

    def extra(self, channels: int, stride: int, edges: int) -> nn.Module | None:
        return self.skip.extra(channels, stride, edges)


class MixedCell(nn.Module):
    """One cell of the search network; its output is the last node.

    Args:
        space: edges and candidates.
        channels: C, of every node.
        parts: edges and skip are read.
    """

    def __init__(self, space: CellSpace, channels: int, parts: Parts) -> None:
        super().__init__()
        self.space = space
        self.edges = parts.edges
        self.mixed = nn.ModuleList()
        for leaving in space.leaving_by_source():
            candidates = [[IN_SEARCH.get(name, name) for name in space.candidates[edge]] for edge in leaving]
            self.mixed.append(parts.edges.build(candidates, channels, 1, parts.skip))

    def forward(self, x: Tensor, mixing: Sequence[Mixing]) -> Tensor:
        """[B, C, H, W] -> the last node, of the same shape.

        Args:
            x: the input, which is node 0.
            mixing: for every source node that of its leaving edges.
        """
        incoming: list[list[Part]] = [[] for _ in range(self.space.nodes + 1)]
        node = x
        for source, mixed in enumerate(self.mixed):
            if source:
                node = self._node(x, incoming[source])
            weights, edges, alive = mixing[source]
            parts = mixed(node, weights, alive, edges)
            for edge, part in zip(self.space.leaving(source), parts, strict=True):
                if part is not None:
                    incoming[self.space.edges[edge][1]].append(part)
        return self._node(x, incoming[-1])

    def _node(self, like: Tensor, parts: list[Part]) -> Tensor:
        return self.edges.finish(parts) if parts else zero_node(like, 1)


class NasBench201Supernet(Supernet):
    """The search network: stem, three stages of mixed cells with residual blocks between them, linear head.

    Args:
        space: cell type "cell".
        channels: C, the width of the first stage (16 in the benchmark).
        cells: N, cells per stage (5 in the benchmark).
        classes: number of classes.
        in_channels: channels of the images.
        track_statistics: whether BatchNorm in the cells keeps running statistics. The published code keeps none
            there: a cell always uses those of the batch, also in an evaluation.
        parts: relaxation, edges, and what happens to skip connections; None = those of DARTS.
        alpha_scale: standard deviation of the initial architecture parameters.

    Raises:
        UserError: if a size is below 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        channels: int,
        cells: int,
        classes: int,
        in_channels: int = 3,
        track_statistics: bool = False,
        parts: Parts | None = None,
        alpha_scale: float = 0.0,
    ) -> None:
        parts = parts or Parts()
        super().__init__(space, parts.relaxation, alpha_scale=alpha_scale, edge_weights=parts.edges.edge_weights)
        for name, value in (("channels", channels), ("cells", cells), ("classes", classes)):
            if value < 1:
                raise UserError(f"{name}={value}: must be at least 1")
        cell, skip = space.cells[CELL_TYPE], parts.skip if track_statistics else BatchStatistics(parts.skip)
        in_cells = Parts(parts.relaxation, parts.edges, skip)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), BatchNorm(channels, affine=True)
        )
        self.cells = body(channels, cells, lambda width: MixedCell(cell, width, in_cells))
        self.lastact = nn.Sequential(BatchNorm(4 * channels, affine=True), nn.ReLU())
        self.classifier = nn.Linear(4 * channels, classes)
        self._leaving = cell.leaving_by_source()
        order = [edge for leaving in self._leaving for edge in leaving]
        self.register_buffer("by_source", torch.tensor(order), persistent=False)

    def _by_source(self, mixing: Mixing) -> list[Mixing]:
        """The mixing of the edges that leave each source node."""
        order, sizes = self.get_buffer("by_source"), [len(leaving) for leaving in self._leaving]
        weights = mixing.weights.index_select(0, order).split(sizes)
        edges: Sequence[Tensor | None] = [None] * len(sizes)
        if mixing.edges is not None:
            edges = mixing.edges.index_select(0, order).split(sizes)
        return [
            Mixing(weights[source], edges[source], rows(mixing.alive, leaving))
            for source, leaving in enumerate(self._leaving)
        ]

    def features(self, x: Tensor, mixing: Mapping[str, Mixing]) -> Tensor:
        """What the linear head reads, [B, 4 * channels].

        Args:
            x: images [B, in_channels, H, W].
            mixing: by cell type.
        """
        by_source = self._by_source(mixing[CELL_TYPE])
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        for layer in self.cells:
            x = layer(x, by_source) if isinstance(layer, MixedCell) else layer(x)
        return self.lastact(x).mean((2, 3))

    def forward(self, x: Tensor, mixing: Mapping[str, Mixing]) -> Tensor:
        """Logits [B, classes] of images x [B, in_channels, H, W].

        Args:
            x: images.
            mixing: by cell type.
        """
        return self.classifier(self.features(x, mixing))

    def loss(self, batch: tuple[Tensor, Tensor], mixing: Mapping[str, Mixing]) -> Outcome:
        """Cross-entropy of (images [B, in_channels, H, W], labels [B]), and the logits."""
        images, labels = batch
        logits = self(images, mixing)
        return Outcome(nn.functional.cross_entropy(logits, labels), logits)
