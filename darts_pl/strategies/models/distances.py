"""Distances between genotypes, for Gaussian processes."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from darts_pl.ops import NONE
from darts_pl.registry import Registry
from darts_pl.strategies.encoding import Encoding, Integers
from darts_pl.strategies.models.features import Features


class Distance(ABC):
    """A distance between genotypes as integers."""

    @abstractmethod
    def between(self, left: Sequence[Integers], right: Sequence[Integers]) -> np.ndarray:
        """The distances [left, right]."""


DISTANCES: Registry[Callable[[Encoding], Distance]] = Registry("distance")


@DISTANCES.register("edit")
class EditDistance(Distance):
    """How many pairs (operation, source) one genotype has and the other lacks.

    `exp(-distance)` is a positive definite kernel, since the distance is half a squared Euclidean one.

    Args:
        encoding: the decisions of the space.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.features = Features(encoding)
        self.pairs = sum(node.edges for node in encoding.nodes)

    def between(self, left: Sequence[Integers], right: Sequence[Integers]) -> np.ndarray:
        return self.pairs - self.features.matrix(left) @ self.features.matrix(right).T


class Mass(NamedTuple):
    """The pairs of one cell, each with one unit of mass.

    Args:
        operations: the operation of each pair.
        positions: [pairs, 3]: fewest and most operations between the cell's inputs and the pair, and most
            operations between the pair and the cell's output.
        origins: the input node that each pair reads, or -1.
    """

    operations: tuple[str, ...]
    positions: np.ndarray
    origins: np.ndarray


#: Cost of matching operations of one family, such as two separable convolutions; 1 for different families, 0 for equal.
FAMILY_COST = 0.25
#: Cost of a unit of mass without a partner: a cell with "none" on an edge has less mass.
UNMATCHED_COST = 1.0
#: Weight of the difference of positions, the middle one of NASBOT's values 0.1, 0.2, 0.4, 0.8.
POSITION_WEIGHT = 0.4


@DISTANCES.register("transport")
class TransportDistance(Distance):
    """The cheapest way to turn the operations of one cell into those of another, summed over cell types.

    Kandasamy et al., "Neural architecture search with Bayesian optimisation and optimal transport"
    (NASBOT), NeurIPS 2018, section 3: mass is moved at a cost for different labels and one for different
    positions in the graph. Every pair has one unit of mass, so that the optimal transport is an assignment.

    Args:
        encoding: the decisions of the space.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.masses: Callable[[Integers], tuple[Mass, ...]] = lru_cache(maxsize=10_000)(self._masses)
        self.distance: Callable[[Integers, Integers], float] = lru_cache(maxsize=500_000)(self._distance)

    def between(self, left: Sequence[Integers], right: Sequence[Integers]) -> np.ndarray:
        return np.array([[self.distance(*sorted((one, other))) for other in right] for one in left])

    def _distance(self, left: Integers, right: Integers) -> float:
        if left == right:
            return 0.0
        return sum(map(_transport, self.masses(left), self.masses(right)))

    def _masses(self, integers: Integers) -> tuple[Mass, ...]:
        cells: dict[str, list[tuple[int, int, str]]] = {}
        for node in self.encoding.nodes:
            found = cells.setdefault(node.cell, [])
            pairs = self.encoding.pairs(node, integers)
            found += [(pair.source, node.target, pair.operation) for pair in pairs if pair.operation != NONE]
        starts = {node.cell: node.target for node in reversed(self.encoding.nodes)}
        return tuple(_mass(pairs, starts[cell]) for cell, pairs in cells.items())


def _mass(pairs: Sequence[tuple[int, int, str]], inputs: int) -> Mass:
    """The mass of a cell with `inputs` input nodes from its (source, target, operation)."""
    fewest: dict[int, int] = {}
    most: dict[int, int] = {}
    to_output: dict[int, int] = {}
    nodes = range(max((target for _, target, _ in pairs), default=0) + 1)
    for node in nodes:
        sources = [source for source, target, _ in pairs if target == node]
        fewest[node] = min((fewest[source] + 1 for source in sources), default=0)
        most[node] = max((most[source] + 1 for source in sources), default=0)
    for node in reversed(nodes):
        to_output[node] = max((to_output[target] + 1 for source, target, _ in pairs if source == node), default=0)
    positions = np.array([[fewest[source], most[source], to_output[target]] for source, target, _ in pairs])
    origins = np.array([source if source < inputs else -1 for source, _, _ in pairs])
    return Mass(tuple(operation for *_, operation in pairs), positions.reshape(-1, 3), origins)


def _transport(left: Mass, right: Mass) -> float:
    rows, columns = len(left.operations), len(right.operations)
    if not rows or not columns:
        return UNMATCHED_COST * max(rows, columns)
    costs = np.full((max(rows, columns),) * 2, UNMATCHED_COST)
    labels = np.array([[_label_cost(one, other) for other in right.operations] for one in left.operations])
    positions = np.abs(left.positions[:, None] - right.positions).mean(axis=2)
    origins = 0.5 * (left.origins[:, None] != right.origins)
    costs[:rows, :columns] = labels + POSITION_WEIGHT * (positions + origins)
    return float(costs[linear_sum_assignment(costs)].sum())


@lru_cache(maxsize=10_000)
def _label_cost(left: str, right: str) -> float:
    if left == right:
        return 0.0
    return FAMILY_COST if _family(left) == _family(right) else 1.0


def _family(operation: str) -> str:
    """The operation's name without its kernel size."""
    return re.sub(r"_\d+x\d+$", "", operation)
