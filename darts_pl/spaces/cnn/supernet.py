"""The convolutional supernet (paper sections 2.1 and 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.ops import EdgeOperation, NodeOutput
from darts_pl.spaces.cnn.plan import CellPlan, plan_cells, preprocess
from darts_pl.spaces.cnn.stems import build_stem
from darts_pl.spaces.mixed import MixedEdges
from darts_pl.spaces.relaxation import Relaxation, softmax
from darts_pl.spaces.space import CellSpace, SearchSpace
from darts_pl.spaces.supernet import Outcome, Supernet


class MixedCell(nn.Module):
    """One cell of the supernet: every edge mixed, the intermediate nodes concatenated.

    Args:
        space: edges and candidates.
        plan: widths and stride.
        wrap: passed on to every `MixedEdges`.
    """

    def __init__(
        self, space: CellSpace, plan: CellPlan, wrap: Callable[[EdgeOperation], EdgeOperation] | None = None
    ) -> None:
        super().__init__()
        self.space = space
        self.cell_type = "reduce" if plan.reduction else "normal"
        self.stride = 2 if plan.reduction else 1
        self.preprocess0, self.preprocess1 = preprocess(plan, affine=False)
        self.mixed = nn.ModuleList()
        for source, leaving in enumerate(space.leaving_by_source()):
            candidates = [space.candidates[edge] for edge in leaving]
            stride = self.stride if source < space.input_nodes else 1
            self.mixed.append(MixedEdges(candidates, plan.channels, stride, wrap))

    def mixed_edges(self) -> Iterator[MixedEdges]:
        """For every source node the edges that leave it."""
        for mixed in self.mixed:
            assert isinstance(mixed, MixedEdges)
            yield mixed

    def forward(self, before: NodeOutput, last: NodeOutput, weights: list[Tensor]) -> Tensor:
        """The concatenated nodes [B, nodes*C, H', W'].

        Args:
            before: output of the cell before last [B, C0, H0, W0]; two cells share its ReLU.
            last: output of the last cell [B, C1, H, W].
            weights: for every source node the mixing weights of its leaving edges.
        """
        states = [self.preprocess0.on_edges(before), self.preprocess1.on_edges(last)]
        incoming: list[list[Tensor]] = [[] for _ in range(self.space.nodes)]
        for source, mixed in enumerate(self.mixed_edges()):
            if source >= self.space.input_nodes:
                states.append(self._node(states[0], incoming[source - self.space.input_nodes]))
            for edge, part in zip(self.space.leaving(source), mixed(states[source], weights[source]), strict=True):
                if part is not None:
                    incoming[self.space.edges[edge][1] - self.space.input_nodes].append(part)
        states.append(self._node(states[0], incoming[-1]))
        return torch.cat(states[self.space.input_nodes :], dim=1)

    def _node(self, like: Tensor, parts: list[Tensor]) -> Tensor:
        if not parts:  # everything that enters the node is masked
            return torch.zeros_like(like[:, :, :: self.stride, :: self.stride])
        total = parts[0]
        for index, part in enumerate(parts[1:]):
            total = total + part if index == 0 else total.add_(part)
        return total


class CnnSupernet(Supernet):
    """The search network: stem, mixed cells, global average pooling, linear head.

    Args:
        space: cell types "normal" and "reduce".
        init_channels: C, the width of the first cells (16 in the paper's search).
        layers: number of cells (8 in the paper's search).
        classes: number of classes.
        in_channels: channels of the images.
        stem: one of `STEMS`: "cifar" for small images, "imagenet" for photos.
        relaxation: alphas -> mixing weights.
        wrap: what happens around a candidate.

    Raises:
        UserError: if a size is below 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        init_channels: int = 16,
        layers: int = 8,
        classes: int = 10,
        in_channels: int = 3,
        stem: str = "cifar",
        relaxation: Relaxation = softmax,
        wrap: Callable[[EdgeOperation], EdgeOperation] | None = None,
    ) -> None:
        super().__init__(space, relaxation)
        for name, value in (("init_channels", init_channels), ("layers", layers), ("classes", classes)):
            if value < 1:
                raise UserError(f"{name}={value}: must be at least 1")
        self.stem = build_stem(stem, in_channels, init_channels)
        plans = plan_cells(self.stem, init_channels, layers, lambda reduction: self._cell_space(reduction).nodes)
        self.cells = nn.ModuleList(MixedCell(self._cell_space(plan.reduction), plan, wrap) for plan in plans)
        self.classifier = nn.Linear(plans[-1].channels * self._cell_space(plans[-1].reduction).nodes, classes)
        for name, cell in space.cells.items():
            order = [edge for edges in cell.leaving_by_source() for edge in edges]
            self.register_buffer(f"by_source_{name}", torch.tensor(order), persistent=False)

    def mixed_cells(self) -> Iterator[MixedCell]:
        """The cells, in order."""
        for cell in self.cells:
            assert isinstance(cell, MixedCell)
            yield cell

    def _cell_space(self, reduction: bool) -> CellSpace:
        return self.space.cells["reduce" if reduction else "normal"]

    def _by_source(self, cell_type: str, weights: Tensor) -> list[Tensor]:
        """Rows of [edges, candidates], sorted by source node, one tensor per source."""
        order = self.get_buffer(f"by_source_{cell_type}")
        sizes = [len(edges) for edges in self.space.cells[cell_type].leaving_by_source()]
        return list(weights.index_select(0, order).split(sizes))

    def _mask_changed(self, cell_type: str, values: Tensor | None) -> None:
        space = self.space.cells[cell_type]
        for cell in self.mixed_cells():
            if cell.cell_type == cell_type:
                for source, mixed in enumerate(cell.mixed_edges()):
                    mixed.skip_dead(None if values is None else values[list(space.leaving(source))])

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of images x [B, in_channels, H, W]."""
        weights = {name: self._by_source(name, mixed) for name, mixed in self.mixing_weights().items()}
        first, second = self.stem(x.contiguous(memory_format=torch.channels_last))
        before = NodeOutput(first)
        last = before if second is first else NodeOutput(second)
        for cell in self.mixed_cells():
            before, last = last, NodeOutput(cell(before, last, weights[cell.cell_type]))
        return self.classifier(last.raw.mean((2, 3)))

    def loss(self, batch: tuple[Tensor, Tensor]) -> Outcome:
        """Cross-entropy of (images [B, in_channels, H, W], labels [B]), and the logits."""
        images, labels = batch
        logits = self(images)
        return Outcome(nn.functional.cross_entropy(logits, labels), logits)
