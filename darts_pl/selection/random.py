"""Random genotypes: the baseline that every search must beat (paper section 3, "random search")."""

from __future__ import annotations

import random

from darts_pl.genotype import Genotype
from darts_pl.spaces import SearchSpace, space_of


def random_genotype(space: SearchSpace, seed: int) -> Genotype:
    """For every node different sources and, on each edge, an operation, all drawn uniformly.

    Args:
        space: cell types, edges, candidates; "none" is never drawn.
        seed: the same seed gives the same genotype.

    Raises:
        UserError: if a node has too few edges with a candidate besides "none".
    """
    return space_of(space.kind).draw(space, random.Random(seed))


def random_genotypes(space: SearchSpace, seed: int, number: int) -> list[Genotype]:
    """Several genotypes, drawn one after the other; the first is that of `random_genotype`.

    Args:
        space: see `random_genotype`.
        seed: the same seed gives the same genotypes, and a larger `number` only adds to them.
        number: how many.

    Raises:
        UserError: as `random_genotype` does.
    """
    draw = random.Random(seed)
    return [space_of(space.kind).draw(space, draw) for _ in range(number)]
