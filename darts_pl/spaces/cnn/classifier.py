"""The final networks for images: what a convolutional genotype builds (paper section 3.2, A.2.1, A.2.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype
from darts_pl.ops import EdgeOperation, Identity, NodeOutput, build, names
from darts_pl.spaces.cnn.auxiliary import TOWERS, AuxiliaryTower
from darts_pl.spaces.cnn.fixed_reduction import WIDTH, FixedReduction
from darts_pl.spaces.cnn.plan import CellPlan, extra_skip, plan_cells, preprocess
from darts_pl.spaces.cnn.stems import build_stem
from darts_pl.spaces.compiled import Compilable, compiled
from darts_pl.spaces.image_network import ImageNetwork

_CELL_TYPES = ("normal", "reduce")
#: Name of the buffer that marks a network whose edges have an extra skip connection.
EXTRA_SKIP = "has_extra_skip"


class FinalCell(Compilable):
    """A cell with the operations of a genotype.

    Args:
        cell: operations and sources.
        plan: widths and stride.
        with_extra_skip: whether every edge also adds its input.
    """

    def __init__(self, cell: CellGenotype, plan: CellPlan, with_extra_skip: bool = False) -> None:
        super().__init__()
        self.concat = cell.concat
        self.sources = [[pair.source for pair in node] for node in cell.nodes]
        self.preprocess0, self.preprocess1 = preprocess(plan, affine=True)
        strides = [2 if plan.reduction and pair.source < 2 else 1 for pair in cell.pairs]
        self.operations = nn.ModuleList(
            build(pair.operation, plan.channels, stride) for pair, stride in zip(cell.pairs, strides, strict=True)
        )
        self.skips: nn.ModuleList | None = None
        if with_extra_skip:
            self.skips = nn.ModuleList(extra_skip(plan.channels, stride, affine=True) for stride in strides)

    def forward(self, before: Tensor, last: Tensor, drop_path: float) -> Tensor:
        """The concatenated nodes [B, len(concat)*C, H', W'].

        Args:
            before: output of the cell before last.
            last: output of the last cell.
            drop_path: probability with which each operation but the identity is dropped for a
                sample, together with the edge's extra skip connection (training only).
        """
        kept = self._kept(before, drop_path)
        if self.runs_compiled():
            # Also where nothing is dropped, as in the first epoch: one form instead of two.
            ones = before.new_ones(len(before), 1, 1, 1)
            return _compiled_cell(self, before, last, torch.stack([ones if mask is None else mask for mask in kept]))
        return self.nodes(before, last, kept)

    def _kept(self, like: Tensor, drop_path: float) -> list[Tensor | None]:
        """By edge 0 for a sample whose path is dropped, else 1 / (1 - drop_path) [B, 1, 1, 1]; None = 1 for all."""
        if not (self.training and drop_path > 0):
            return [None] * len(self.operations)
        keep = 1 - drop_path
        return [
            None if isinstance(operation, Identity) else like.new_empty(len(like), 1, 1, 1).bernoulli_(keep).div_(keep)
            for operation in self.operations
        ]

    def nodes(self, before: Tensor, last: Tensor, kept: Sequence[Tensor | None]) -> Tensor:
        """The concatenated nodes, as `forward` gives them.

        Args:
            before, last: see `forward`.
            kept: by edge the factor of each sample [B, 1, 1, 1]; None = 1.
        """
        # What reads one node shares its ReLU.
        states = [NodeOutput(self.preprocess0(before)), NodeOutput(self.preprocess1(last))]
        operations, factors = iter(self.operations), iter(kept)
        skips = iter(self.skips or ())
        for sources in self.sources:
            parts = []
            for source in sources:
                operation, factor = next(operations), next(factors)
                state = states[source]
                shared = (state,) if isinstance(operation, EdgeOperation) else ()
                part = operation(state.raw, *shared)  # a call of the module, which hooks see: latency is measured there
                if self.skips is not None:
                    part = part + next(skips)(state.raw)
                parts.append(part if factor is None else part * factor.to(part.dtype))
            states.append(NodeOutput(sum(parts[1:], parts[0])))
        return torch.cat([states[node].raw for node in self.concat], dim=1)


@compiled
def _compiled_cell(cell: FinalCell, before: Tensor, last: Tensor, kept: Tensor) -> Tensor:
    """`FinalCell.nodes`."""
    return cell.nodes(before, last, kept.unbind(0))


def width_of(genotype: Genotype, reduction: bool) -> int:
    """How many maps a cell of a final network concatenates."""
    cell = genotype.cells.get("reduce" if reduction else "normal")
    return WIDTH if cell is None else len(cell.concat)


def _cell(genotype: Genotype, plan: CellPlan, with_extra_skip: bool) -> nn.Module:
    cell = genotype.cells.get("reduce" if plan.reduction else "normal")
    return FixedReduction(plan, affine=True) if cell is None else FinalCell(cell, plan, with_extra_skip)


class Classifier(ImageNetwork):
    """Stem, cells, global average pooling, linear head, and an optional auxiliary tower.

    Args:
        genotype: with a normal and a reduction cell; without the latter the reduction cells are the fixed ones of
            GDAS.
        init_channels: C, the width of the first cells (36 in the paper's CIFAR-10 network, 48 in that for
            ImageNet).
        layers: number of cells (20; 14 for ImageNet).
        classes: number of classes.
        in_channels: channels of the images.
        auxiliary: whether a tower reads the output of the cell at 2/3 of the depth while training.
        stem: "cifar" for small images, "imagenet" for photos; the tower goes with it.
        reductions: numbers of the reduction cells; None = at 1/3 and 2/3 of the depth.
        extra_skip: whether every edge also adds its input, which is halved where the edge halves it.

    Attributes:
        in_channels: as given.
        drop_path: current drop-path probability; whoever trains sets it.

    Raises:
        UserError: if an operation is unknown or a size is below 1.
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        init_channels: int,
        layers: int,
        classes: int,
        in_channels: int = 3,
        auxiliary: bool = False,
        stem: str = "cifar",
        reductions: Sequence[int] | None = None,
        extra_skip: bool = False,
    ) -> None:
        super().__init__()
        if not {"normal"} <= set(genotype.cells) <= set(_CELL_TYPES):
            raise UserError(
                f"a genotype of kind {genotype.kind!r} does not build an image classifier; give one with the cells "
                f"{' and '.join(_CELL_TYPES)}, such as genotype=darts_v2"
            )
        genotype.check_operations(names())
        for cell_type, cell in genotype.cells.items():
            for node, pairs in enumerate(cell.nodes, start=2):
                if not pairs:
                    raise UserError(f"genotype: node {node} of the {cell_type} cell reads nothing; give it a pair")
        for name, value in (("init_channels", init_channels), ("layers", layers), ("classes", classes)):
            if value < 1:
                raise UserError(f"{name}={value}: must be at least 1")
        if stem == "imagenet" and init_channels < 2:
            raise UserError(
                f"init_channels={init_channels}: must be at least 2 with stem={stem}, whose output is halved"
            )
        self.in_channels = in_channels
        self.drop_path = 0.0
        self.tower_after = 2 * layers // 3
        self.stem = build_stem(stem, in_channels, init_channels)

        def width(reduction: bool) -> int:
            return width_of(genotype, reduction)

        plans = plan_cells(self.stem, init_channels, layers, width, reductions)
        self.cells = nn.ModuleList(_cell(genotype, plan, extra_skip) for plan in plans)
        if extra_skip:  # a state dict tells it, also where no extra skip connection has weights
            self.register_buffer(EXTRA_SKIP, torch.ones(()))
        widths = [plan.channels * width(plan.reduction) for plan in plans]
        self.auxiliary_head = AuxiliaryTower(widths[self.tower_after], classes, **TOWERS[stem]) if auxiliary else None
        self.classifier = nn.Linear(widths[-1], classes)

    @property
    def reads_all_inputs(self) -> bool:
        """Whether every cell reads both of its inputs; the weights that prepare an unread input get no gradient."""
        cells = [cell for cell in self.cells if isinstance(cell, FinalCell)]
        return all({0, 1} <= {source for node in cell.sources for source in node} for cell in cells)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor | None]:
        """Logits [B, classes]; while training, with a tower, also the tower's logits (None on a map too small).

        Args:
            x: images [B, in_channels, H, W].
        """
        before, last = self.stem(x)
        auxiliary = None
        for layer, cell in enumerate(self.cells):
            before, last = last, cell(before, last, self.drop_path)
            if layer == self.tower_after and self.auxiliary_head is not None and self.training:
                auxiliary = self.auxiliary_head(last)
        logits = self.classifier(last.mean((2, 3)))
        return (logits, auxiliary) if self.auxiliary_head is not None and self.training else logits
