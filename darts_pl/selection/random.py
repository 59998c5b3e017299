"""Random genotypes: the baseline that every search must beat (paper section 3, "random search")."""

from __future__ import annotations

import random

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype, Pair
from darts_pl.ops import NONE
from darts_pl.spaces import SearchSpace


def random_genotype(space: SearchSpace, seed: int) -> Genotype:
    """For every node different sources and, on each edge, an operation, all drawn uniformly.

    Args:
        space: cell types, edges, candidates; "none" is never drawn.
        seed: the same seed gives the same genotype.

    Raises:
        UserError: if a node has too few edges with a candidate besides "none".
    """
    draw = random.Random(seed)
    cells = {}
    for name, cell in space.cells.items():
        nodes = []
        first = cell.input_nodes
        operations = [[operation for operation in candidates if operation != NONE] for candidates in cell.candidates]
        for target in range(first, first + cell.nodes):
            usable = [edge for edge in cell.entering(target) if operations[edge]]
            if len(usable) < cell.inputs_per_node:
                raise UserError(
                    f"node {target} of the {name} cell has {len(usable)} edges with a candidate besides {NONE!r}; "
                    f"a random genotype needs {cell.inputs_per_node}"
                )
            edges = sorted(draw.sample(usable, cell.inputs_per_node))
            nodes.append(tuple(Pair(draw.choice(operations[edge]), cell.edges[edge][0]) for edge in edges))
        cells[name] = CellGenotype(tuple(nodes), concat=tuple(range(first, first + cell.nodes)))
    return Genotype(space.kind, cells)
