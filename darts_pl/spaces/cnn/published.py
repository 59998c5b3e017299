"""The final networks of the paper for images, as large as they were published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from darts_pl.genotype import CellGenotype, Genotype
from darts_pl.ops import build, names
from darts_pl.spaces.cnn.auxiliary import TOWERS, AuxiliaryTower
from darts_pl.spaces.cnn.classifier import width_of
from darts_pl.spaces.cnn.fixed_reduction import FixedReduction
from darts_pl.spaces.cnn.plan import CellPlan, plan_cells, preprocess
from darts_pl.spaces.cnn.stems import build_stem
from darts_pl.spaces.sizes import count_parameters, multiply_adds_of


@dataclass(frozen=True)
class PaperNetwork:
    """One of the two final networks of the paper, for `size_of`.

    Args:
        init_channels, layers, classes, stem: see `Classifier`.
        side: of the square colour images, in pixels.
    """

    init_channels: int
    layers: int
    classes: int
    stem: str
    side: int


#: Sections A.2.1 and A.2.3.
PAPER_NETWORKS = {
    "cifar": PaperNetwork(init_channels=36, layers=20, classes=10, stem="cifar", side=32),
    "imagenet": PaperNetwork(init_channels=48, layers=14, classes=1000, stem="imagenet", side=224),
}


class _Size(NamedTuple):
    """Parameters and multiply-adds of a part of a network."""

    parameters: int
    multiply_adds: int


def size_of(
    genotype: Genotype, which: str, *, channels: int | None = None, layers: int | None = None, tower: bool = False
) -> tuple[int, int]:
    """(parameters, multiply-adds) of a genotype's network as large as the paper's.

    The parts of the network are counted one by one, and equal parts once.

    Args:
        genotype: of kind "cnn", or "cnn_fixed_reduction".
        which: one of `PAPER_NETWORKS`.
        channels, layers: instead of the paper's; None = the paper's.
        tower: whether the parameters of the auxiliary tower count.

    Raises:
        UserError: if an operation is unknown.
    """
    genotype.check_operations(names())
    paper = PAPER_NETWORKS[which]
    channels, layers = channels or paper.init_channels, layers or paper.layers
    cells = {reduction: genotype.cells.get("reduce" if reduction else "normal") for reduction in (False, True)}
    with torch.device("meta"):
        stem = build_stem(paper.stem, 3, channels)
        image = torch.empty(1, 3, paper.side, paper.side)
        side = stem(image)[1].shape[-1]
        plans = plan_cells(stem, channels, layers, lambda reduction: width_of(genotype, reduction))
        parts = [_Size(count_parameters(stem), multiply_adds_of(stem, [image]))]
        for plan in plans:
            cell = cells[plan.reduction]
            parts.append(_fixed(plan, side) if cell is None else _cell(cell, plan, side))
            side = -(-side // 2) if plan.reduction else side
        widths = [plan.channels * width_of(genotype, plan.reduction) for plan in plans]
        head = nn.Linear(widths[-1], paper.classes)
        parts.append(_Size(count_parameters(head), head.weight.numel()))
        if tower:
            auxiliary = AuxiliaryTower(widths[2 * layers // 3], paper.classes, **TOWERS[paper.stem])
            parts.append(_Size(count_parameters(auxiliary), 0))
    return sum(part.parameters for part in parts), sum(part.multiply_adds for part in parts)


def _cell(cell: CellGenotype, plan: CellPlan, side: int) -> _Size:
    """A cell whose last input has maps of side x side."""
    inside = -(-side // 2) if plan.reduction else side
    parts = [*_inputs(plan, side)]
    for pair in cell.pairs:
        of_input = pair.source < 2
        stride = 2 if plan.reduction and of_input else 1
        parts.append(_operation(pair.operation, plan.channels, stride, side if of_input else inside))
    return _Size(sum(part.parameters for part in parts), sum(part.multiply_adds for part in parts))


def _fixed(plan: CellPlan, side: int) -> _Size:
    """A fixed reduction cell whose last input has maps of side x side."""
    cell = FixedReduction(plan, affine=True)
    before = torch.empty(
        1, plan.in_before, 2 * side if plan.halve_before else side, 2 * side if plan.halve_before else side
    )
    last = torch.empty(1, plan.in_last, side, side)
    return _Size(count_parameters(cell), multiply_adds_of(cell, [before, last]))


@cache
def _inputs(plan: CellPlan, side: int) -> Sequence[_Size]:
    first, second = preprocess(plan, affine=True)
    return [
        _measure(first, plan.in_before, 2 * side if plan.halve_before else side),
        _measure(second, plan.in_last, side),
    ]


@cache
def _operation(name: str, channels: int, stride: int, side: int) -> _Size:
    return _measure(build(name, channels, stride), channels, side)


def _measure(module: nn.Module, channels: int, side: int) -> _Size:
    return _Size(count_parameters(module), multiply_adds_of(module, [torch.empty(1, channels, side, side)]))
