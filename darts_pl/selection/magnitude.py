"""The strongest candidates win (paper section 2.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from darts_pl.genotype import KINDS, Genotype, Kind, Pair
from darts_pl.ops import NONE
from darts_pl.selection.rules import PREVIEWS, RULES, selection_rule
from darts_pl.selection.trials import Trials
from darts_pl.spaces import CellSpace, SearchSpace, Supernet


@selection_rule("magnitude")
def magnitude(supernet: Supernet, trials: Trials | None = None) -> Genotype:
    """Per node the edges with the strongest candidate, and on each of them that candidate.

    A candidate of an edge with a weight of its own counts with its mixing weight times that of the edge.

    Args:
        supernet: the trained search network; its expected mixing weights are read.
        trials: not read.
    """
    return preview_magnitude(supernet)


def preview_magnitude(supernet: Supernet) -> Genotype:
    """What `magnitude` derives, without trials: the preview of every epoch."""
    with torch.no_grad():
        return strongest(supernet.space, strengths(supernet))


def preview_of(settings: Any) -> Callable[[Supernet], Genotype]:
    """What derives the genotype that is shown after every epoch of a search.

    Args:
        settings: of the selection rule, with its name.
    """
    preview: Callable[[Supernet], Genotype] | None = getattr(RULES.build(settings), "preview", None)
    return preview or PREVIEWS.get(settings.name, preview_magnitude)


def strengths(supernet: Supernet) -> dict[str, Tensor]:
    """By cell type the expected mixing weights [edges, candidates], times those of the edges where there are some."""
    return {
        name: mixing.weights if mixing.edges is None else mixing.weights * mixing.edges.unsqueeze(1)
        for name, mixing in supernet.mixing().items()
    }


def strongest(space: SearchSpace, weights: Mapping[str, Tensor], *, later: bool = False) -> Genotype:
    """The genotype of given mixing weights.

    The strength of a candidate is its mixing weight among all candidates, "none" included; an edge
    counts by its strongest candidate other than "none". A tie goes to the first candidate and to
    the lowest source. The pairs of a node are listed strongest first. Where the kind of genotypes allows
    "none", an edge may have it too; where a node keeps all its edges, they are listed by source.

    Args:
        space: cell types, edges, candidates.
        weights: per cell type the mixing weights [edges, candidates].
        later: True = as P-DARTS's code: a tie goes to the last candidate and to the highest source, and the
            pairs of a node are listed by source.
    """
    nodes, kind = {}, KINDS.get(space.kind)
    for name, cell in space.cells.items():
        rows = weights[name].detach().cpu().tolist()
        nodes[name] = [_node(cell, rows, target, kind, later) for target in cell.targets]
    return space.genotype(nodes)


def _node(cell: CellSpace, rows: list[list[float]], target: int, kind: Kind, later: bool) -> tuple[Pair, ...]:
    found = []
    for edge in cell.entering(target):
        candidates = [
            (weight, operation)
            for weight, operation in zip(rows[edge], cell.candidates[edge], strict=False)
            if kind.none or operation != NONE
        ]
        if candidates:
            # The first of equal ones is taken.
            weight, operation = max(candidates[::-1] if later else candidates, key=lambda pair: pair[0])
            found.append((weight, Pair(operation, cell.edges[edge][0])))
    if kind.inputs_per_node is not None:
        found.sort(key=lambda pair: (-pair[0], -pair[1].source if later else pair[1].source))
    kept = [pair for _, pair in found[: cell.inputs_per_node]]
    return tuple(sorted(kept, key=lambda pair: pair.source) if later else kept)
