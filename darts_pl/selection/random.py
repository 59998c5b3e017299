"""Random genotypes: the baseline that every search must beat (paper section 3, "random search")."""

from __future__ import annotations

import random

from darts_pl.genotype import CellGenotype, Genotype, Pair
from darts_pl.ops import NONE
from darts_pl.spaces import SearchSpace


def random_genotype(space: SearchSpace, seed: int) -> Genotype:
    """For every node different sources and, on each edge, an operation, all drawn uniformly.

    Args:
        space: cell types, edges, candidates; "none" is never drawn.
        seed: the same seed gives the same genotype.
    """
    draw = random.Random(seed)
    cells = {}
    for name, cell in space.cells.items():
        nodes = []
        first = cell.input_nodes
        for target in range(first, first + cell.nodes):
            edges = sorted(draw.sample(cell.entering(target), cell.inputs_per_node))
            nodes.append(
                tuple(
                    Pair(draw.choice([name for name in cell.candidates[edge] if name != NONE]), cell.edges[edge][0])
                    for edge in edges
                )
            )
        cells[name] = CellGenotype(tuple(nodes), concat=tuple(range(first, first + cell.nodes)))
    return Genotype(space.kind, cells)
