"""Where every cell of a convolutional network stands, and what brings its inputs to its width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from darts_pl.ops import EdgeOperation, FactorizedReduce, Identity, ReLUConvBN
from darts_pl.spaces.cnn.stems import Stem


@dataclass(frozen=True)
class CellPlan:
    """Where one cell is in the network.

    Args:
        in_before: channels of the output of the cell before last.
        in_last: channels of the output of the last cell.
        channels: channels of each node of this cell.
        reduction: whether it halves the map.
        halve_before: whether the output of the cell before last is twice as large as the last one's.
    """

    in_before: int
    in_last: int
    channels: int
    reduction: bool
    halve_before: bool


def reductions(layers: int, given: Sequence[int] | None = None) -> frozenset[int]:
    """Numbers of the reduction cells.

    Args:
        layers: number of cells.
        given: the numbers; None = at 1/3 and 2/3 of the depth (paper section 3.1.1).
    """
    return frozenset({layers // 3, 2 * layers // 3} if given is None else given)


def plan_cells(
    stem: Stem, channels: int, layers: int, width: Callable[[bool], int], at: Sequence[int] | None = None
) -> list[CellPlan]:
    """The `CellPlan` of every cell.

    Args:
        stem: what both inputs of the first cell read.
        channels: channels of the first cell's nodes; doubled by every reduction.
        layers: number of cells, at least 1.
        width: given whether the cell is a reduction, how many nodes it concatenates.
        at: numbers of the reduction cells; None = those of the paper.
    """
    plans = []
    before, last, reduced = stem.channels, stem.channels, stem.halves
    for layer in range(layers):
        reduction = layer in reductions(layers, at)
        channels = channels * 2 if reduction else channels
        plans.append(CellPlan(before, last, channels, reduction, halve_before=reduced))
        before, last, reduced = last, channels * width(reduction), reduction
    return plans


def extra_skip(channels: int, stride: int, affine: bool, edges: int = 1) -> EdgeOperation:
    """What an edge adds beside its operations where every edge has a skip connection: its input, halved at stride 2."""
    return Identity(edges) if stride == 1 else FactorizedReduce(channels, channels, affine, edges)


def preprocess(plan: CellPlan, affine: bool) -> tuple[EdgeOperation, EdgeOperation]:
    """The modules that bring a cell's two inputs to its width."""
    first = FactorizedReduce if plan.halve_before else ReLUConvBN
    return first(plan.in_before, plan.channels, affine), ReLUConvBN(plan.in_last, plan.channels, affine)
