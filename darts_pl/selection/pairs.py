"""The strongest pairs of operation and source win, also two from one source."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from darts_pl.genotype import KINDS, Genotype, Pair
from darts_pl.ops import NONE
from darts_pl.selection.magnitude import strengths, strongest
from darts_pl.selection.rules import selection_rule
from darts_pl.selection.trials import Trials
from darts_pl.spaces import CellSpace, SearchSpace, Supernet


def preview_pairs(supernet: Supernet) -> Genotype:
    """What `pairs` derives, without trials: the preview of every epoch."""
    with torch.no_grad():
        return strongest_pairs(supernet.space, strengths(supernet))


@selection_rule("pairs", preview=preview_pairs)
def pairs(supernet: Supernet, trials: Trials | None = None) -> Genotype:
    """Per node the strongest pairs of an operation and a source, which may share a source (GDAS's code).

    Args:
        supernet: the trained search network; its expected mixing weights are read.
        trials: not read.
    """
    return preview_pairs(supernet)


def strongest_pairs(space: SearchSpace, weights: Mapping[str, Tensor]) -> Genotype:
    """The genotype of given mixing weights.

    All pairs but those of "none" are ranked by their mixing weight; a tie goes to the lowest source,
    then to the first candidate. The pairs of a node are listed strongest first. In a space whose genotypes
    keep every edge there is nothing to rank: each edge keeps its strongest candidate, as in GDAS's code.

    Args:
        space: cell types, edges, candidates.
        weights: per cell type the mixing weights [edges, candidates].
    """
    if KINDS.get(space.kind).inputs_per_node is None:
        return strongest(space, weights)
    nodes = {}
    for name, cell in space.cells.items():
        rows = weights[name].detach().cpu().tolist()
        nodes[name] = [_node(cell, rows, target) for target in cell.targets]
    return space.genotype(nodes)


def _node(cell: CellSpace, rows: list[list[float]], target: int) -> tuple[Pair, ...]:
    found = [
        (weight, Pair(operation, cell.edges[edge][0]))
        for edge in cell.entering(target)
        for weight, operation in zip(rows[edge], cell.candidates[edge], strict=False)
        if operation != NONE
    ]
    found.sort(key=lambda pair: -pair[0])  # stable: ties keep the order of sources, then of candidates
    return tuple(pair for _, pair in found[: cell.inputs_per_node])
