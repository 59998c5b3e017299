"""The convolutional supernet (paper sections 2.1 and 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.ops import BatchNorm, EdgeOperation, NodeOutput, Pool
from darts_pl.spaces.base import Parts
from darts_pl.spaces.cnn.fixed_reduction import WIDTH, FixedReduction
from darts_pl.spaces.cnn.plan import CellPlan, extra_skip, plan_cells, preprocess
from darts_pl.spaces.cnn.stems import build_stem
from darts_pl.spaces.edges import Part, zero_node
from darts_pl.spaces.mixing import Mixing, rows
from darts_pl.spaces.recompute import recomputed
from darts_pl.spaces.skip import Skip
from darts_pl.spaces.space import CellSpace, SearchSpace
from darts_pl.spaces.supernet import Outcome, Supernet


class BarePools(Skip):
    """Removes the BatchNorm behind poolings.

    Args:
        skip: what else happens to the candidates.
    """

    def __init__(self, skip: Skip) -> None:
        self.skip = skip

    def wrap(self, name: str, operation: EdgeOperation, stride: int) -> EdgeOperation:
        if isinstance(operation, Pool):
            operation.bn = None
        return self.skip.wrap(name, operation, stride)

    def extra(self, channels: int, stride: int, edges: int) -> nn.Module | None:
        return self.skip.extra(channels, stride, edges)


class ExtraSkips(Skip):
    """Adds a skip connection of weight 1 to every edge.

    Args:
        skip: what else happens to the candidates and the edges.
    """

    def __init__(self, skip: Skip) -> None:
        self.skip = skip

    def wrap(self, name: str, operation: EdgeOperation, stride: int) -> EdgeOperation:
        return self.skip.wrap(name, operation, stride)

    def extra(self, channels: int, stride: int, edges: int) -> nn.Module:
        own, other = extra_skip(channels, stride, affine=False, edges=edges), self.skip.extra(channels, stride, edges)
        return own if other is None else _Sum(own, other, edges)


class _Sum(nn.Module):
    """The sum of two modules, each of which gives one map for all edges or one for each."""

    def __init__(self, first: nn.Module, second: nn.Module, edges: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList([first, second])
        self.edges = edges

    def forward(self, x: Tensor) -> Tensor:
        first, second = (part(x) for part in self.parts)
        if first.shape[1] < second.shape[1]:
            first = first.repeat(1, self.edges, 1, 1)
        elif second.shape[1] < first.shape[1]:
            second = second.repeat(1, self.edges, 1, 1)
        return first + second


class MixedCell(nn.Module):
    """One cell of the supernet: every edge mixed, the intermediate nodes concatenated.

    Args:
        space: edges and candidates.
        plan: widths and stride.
        parts: edges and skip are read.
    """

    def __init__(self, space: CellSpace, plan: CellPlan, parts: Parts) -> None:
        super().__init__()
        self.space = space
        self.cell_type = "reduce" if plan.reduction else "normal"
        self.stride = 2 if plan.reduction else 1
        self.edges = parts.edges
        self.preprocess0, self.preprocess1 = preprocess(plan, affine=False)
        self.mixed = nn.ModuleList()
        for source, leaving in enumerate(space.leaving_by_source()):
            candidates = [space.candidates[edge] for edge in leaving]
            stride = self.stride if source < space.input_nodes else 1
            self.mixed.append(parts.edges.build(candidates, plan.channels, stride, parts.skip))

    def forward(self, before: NodeOutput, last: NodeOutput, mixing: Sequence[Mixing]) -> Tensor:
        """The concatenated nodes [B, nodes*C, H', W'].

        Args:
            before: output of the cell before last [B, C0, H0, W0]; two cells share its ReLU.
            last: output of the last cell [B, C1, H, W].
            mixing: for every source node that of its leaving edges.
        """
        states = [self.preprocess0.on_edges(before), self.preprocess1.on_edges(last)]
        incoming: list[list[Part]] = [[] for _ in range(self.space.nodes)]
        for source, mixed in enumerate(self.mixed):
            if source >= self.space.input_nodes:
                states.append(self._node(states[0], incoming[source - self.space.input_nodes]))
            weights, edges, alive = mixing[source]
            parts = mixed(states[source], weights, alive, edges)
            for edge, part in zip(self.space.leaving(source), parts, strict=True):
                if part is not None:
                    incoming[self.space.edges[edge][1] - self.space.input_nodes].append(part)
        states.append(self._node(states[0], incoming[-1]))
        return torch.cat(states[self.space.input_nodes :], dim=1)

    def recomputed(self, before: Tensor, last: Tensor, mixing: Sequence[Mixing]) -> Tensor:
        """As `forward`; a backward pass computes the maps within the cell again."""
        return recomputed(self, lambda *inputs: self(*map(NodeOutput, inputs), mixing), before, last)

    def _node(self, like: Tensor, parts: list[Part]) -> Tensor:
        return self.edges.finish(parts) if parts else zero_node(like, self.stride)


class CnnSupernet(Supernet):
    """The search network: stem, mixed cells, global average pooling, linear head.

    Args:
        space: cell types "normal" and "reduce"; without the latter the reduction cells are fixed ones.
        init_channels: C, the width of the first cells (16 in the paper's search).
        layers: number of cells (8 in the paper's search).
        classes: number of classes.
        in_channels: channels of the images.
        stem: one of `STEMS`: "cifar" for small images, "imagenet" for photos.
        pool_norm: whether BatchNorm follows the poolings (it does in DARTS, and does not in GDAS).
        last_norm: whether BatchNorm and ReLU come before the global pooling (GDAS).
        reductions: numbers of the reduction cells; None = at 1/3 and 2/3 of the depth.
        extra_skip: whether every edge also adds its input, which is halved where the edge halves it.
        parts: relaxation, edges, and what happens to skip connections; None = those of DARTS.
        alpha_scale: standard deviation of the initial architecture parameters.
        recompute: whether the inner maps of each cell are computed again in the backward pass instead of being kept.

    Raises:
        UserError: if a size is below 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        init_channels: int,
        layers: int,
        classes: int,
        in_channels: int = 3,
        stem: str = "cifar",
        pool_norm: bool = True,
        last_norm: bool = False,
        reductions: Sequence[int] | None = None,
        extra_skip: bool = False,
        parts: Parts | None = None,
        alpha_scale: float = 0.0,
        recompute: bool = False,
    ) -> None:
        parts = parts or Parts()
        super().__init__(space, parts.relaxation, alpha_scale=alpha_scale, edge_weights=parts.edges.edge_weights)
        self.recompute = recompute
        for name, value in (("init_channels", init_channels), ("layers", layers), ("classes", classes)):
            if value < 1:
                raise UserError(f"{name}={value}: must be at least 1")
        self.stem = build_stem(stem, in_channels, init_channels)
        plans = plan_cells(self.stem, init_channels, layers, self._width, reductions)
        skip = parts.skip if pool_norm else BarePools(parts.skip)
        in_cells = Parts(parts.relaxation, parts.edges, ExtraSkips(skip) if extra_skip else skip)
        self.cells = nn.ModuleList(self._cell(plan, in_cells) for plan in plans)
        features = plans[-1].channels * self._width(plans[-1].reduction)
        self.lastact = nn.Sequential(BatchNorm(features, affine=True), nn.ReLU()) if last_norm else None
        self.classifier = nn.Linear(features, classes)
        self._leaving = {name: cell.leaving_by_source() for name, cell in space.cells.items()}
        for name, by_source in self._leaving.items():
            order = [edge for edges in by_source for edge in edges]
            self.register_buffer(f"by_source_{name}", torch.tensor(order), persistent=False)

    def _cell_space(self, reduction: bool) -> CellSpace | None:
        return self.space.cells.get("reduce" if reduction else "normal")

    def _width(self, reduction: bool) -> int:
        """How many maps a cell concatenates."""
        cell = self._cell_space(reduction)
        return WIDTH if cell is None else cell.nodes

    def _cell(self, plan: CellPlan, parts: Parts) -> nn.Module:
        cell = self._cell_space(plan.reduction)
        return FixedReduction(plan, affine=False) if cell is None else MixedCell(cell, plan, parts)

    def _by_source(self, cell_type: str, mixing: Mixing) -> list[Mixing]:
        """The mixing of the edges that leave each source node."""
        order, leaving = self.get_buffer(f"by_source_{cell_type}"), self._leaving[cell_type]
        sizes = [len(edges) for edges in leaving]
        weights = mixing.weights.index_select(0, order).split(sizes)
        edges: Sequence[Tensor | None] = [None] * len(sizes)
        if mixing.edges is not None:
            edges = mixing.edges.index_select(0, order).split(sizes)
        return [
            Mixing(weights[source], edges[source], rows(mixing.alive, numbers))
            for source, numbers in enumerate(leaving)
        ]

    def forward(self, x: Tensor, mixing: Mapping[str, Mixing]) -> Tensor:
        """Logits [B, classes] of images x [B, in_channels, H, W].

        Args:
            x: images.
            mixing: by cell type.
        """
        by_source = {name: self._by_source(name, values) for name, values in mixing.items()}
        first, second = self.stem(x.contiguous(memory_format=torch.channels_last))
        before = NodeOutput(first)
        last = before if second is first else NodeOutput(second)
        for cell in self.cells:
            if isinstance(cell, MixedCell) and self.recompute:
                output = cell.recomputed(before.raw, last.raw, by_source[cell.cell_type])
            elif isinstance(cell, MixedCell):
                output = cell(before, last, by_source[cell.cell_type])
            else:
                output = cell(before.raw, last.raw)
            before, last = last, NodeOutput(output)
        features = last.raw if self.lastact is None else self.lastact(last.raw)
        return self.classifier(features.mean((2, 3)))

    def loss(self, batch: tuple[Tensor, Tensor], mixing: Mapping[str, Mixing]) -> Outcome:
        """Cross-entropy of (images [B, in_channels, H, W], labels [B]), and the logits."""
        images, labels = batch
        logits = self(images, mixing)
        return Outcome(nn.functional.cross_entropy(logits, labels), logits)
