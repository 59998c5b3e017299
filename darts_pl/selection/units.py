"""The genotypes of a search space as independent choices, each with its log likelihood."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from torch import Tensor

from darts_pl.genotype import KINDS, Genotype, Pair
from darts_pl.selection.perturbation import eligible
from darts_pl.spaces import CellSpace, SearchSpace, Supernet


class Option(NamedTuple):
    """One possibility of a unit.

    Args:
        pairs: operations with their sources, by source.
        log_weight: sum of the logarithms of their mixing weights.
        order: positions in `pairs`, the strongest pair first.
    """

    pairs: tuple[Pair, ...]
    log_weight: float
    order: tuple[int, ...]


class Unit(NamedTuple):
    """A choice that no other choice restricts: the kept edges of a node with their operations, or, where a node
    keeps all its edges, the operation of one edge.

    Args:
        cell_type: such as "normal".
        target: number of the node.
        options: in the order of edges and candidates.
    """

    cell_type: str
    target: int
    options: tuple[Option, ...]


def units_of(supernet: Supernet, weights: Mapping[str, Tensor]) -> list[Unit]:
    """All choices of a genotype, node by node.

    Args:
        supernet: a candidate that was removed, and "none" where genotypes cannot have it, is no option.
        weights: per cell type the mixing weights [edges, candidates].
    """
    found = []
    for name, cell in supernet.space.cells.items():
        columns, rows = eligible(supernet, name), weights[name].detach().double().cpu().tolist()
        for target in cell.targets:
            edges = [edge for edge in cell.entering(target) if columns[edge]]
            kept = min(cell.inputs_per_node, len(edges))
            by_edge = KINDS.get(supernet.space.kind).inputs_per_node is None
            for some in [[(edge,)] for edge in edges] if by_edge else [list(combinations(edges, kept))]:
                options = tuple(option for chosen in some for option in _options(cell, chosen, columns, rows))
                found.append(Unit(name, target, options))
    return found


def _options(
    cell: CellSpace, edges: Sequence[int], columns: Sequence[Sequence[int]], rows: Sequence[Sequence[float]]
) -> Iterator[Option]:
    for chosen in product(*(columns[edge] for edge in edges)):
        places = list(zip(edges, chosen, strict=True))
        logs = [log_of(rows[edge][column]) for edge, column in places]
        pairs = tuple(Pair(cell.candidates[edge][column], cell.edges[edge][0]) for edge, column in places)
        order = tuple(sorted(range(len(pairs)), key=lambda position: -logs[position]))
        yield Option(pairs, sum(logs), order)


def log_of(weight: float) -> float:
    """The logarithm of a mixing weight; one of 0 counts as the smallest float."""
    return math.log(max(weight, 5e-324))


def assemble(space: SearchSpace, units: Sequence[Unit], options: Sequence[Option], *, ranked: bool) -> Genotype:
    """The genotype of one option per unit.

    Args:
        space: what is searched.
        units: as `units_of` gives them.
        options: one of each unit.
        ranked: whether the pairs of a node are listed strongest first; otherwise by source.
    """
    nodes: dict[tuple[str, int], list[Pair]] = {}
    for unit, option in zip(units, options, strict=True):
        pairs = [option.pairs[position] for position in option.order] if ranked else list(option.pairs)
        nodes.setdefault((unit.cell_type, unit.target), []).extend(pairs)
    return space.genotype(
        {name: [nodes.get((name, target), []) for target in cell.targets] for name, cell in space.cells.items()}
    )


def log_likelihood(space: SearchSpace, genotype: Genotype, weights: Mapping[str, Tensor]) -> float:
    """Sum of the logarithms of the mixing weights of a genotype's operations."""
    total = 0.0
    for name, cell in space.cells.items():
        rows = weights[name].detach().double().cpu().tolist()
        for target, pairs in zip(cell.targets, genotype.cells[name].nodes, strict=True):
            for operation, source in pairs:
                edge = cell.edges.index((source, target))
                total += log_of(rows[edge][cell.candidates[edge].index(operation)])
    return total


def most_likely(units: Sequence[Unit], count: int) -> list[tuple[Option, ...]]:
    """The combinations of options with the largest sum of logarithms, the largest first; equal ones in the order of
    the options.

    The best combinations of the first units and the next unit are among those of the best `count` of the former.

    Args:
        units: all choices.
        count: how many combinations, 1 or more; fewer where there are not so many.
    """
    best: list[tuple[Option, ...]] = [()]
    logs = np.zeros(1)
    for unit in units:
        every = logs[:, None] + np.array([option.log_weight for option in unit.options])[None, :]
        places = np.argsort(-every.reshape(-1), kind="stable")[:count]
        best = [(*best[place // len(unit.options)], unit.options[place % len(unit.options)]) for place in places]
        logs = every.reshape(-1)[places]
    return best
