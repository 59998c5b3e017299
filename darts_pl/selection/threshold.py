"""Candidates whose mixing weight reaches a threshold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from darts_pl.genotype import KINDS, CellGenotype, Genotype, Kind, Pair
from darts_pl.ops import NONE
from darts_pl.selection.magnitude import strengths, strongest
from darts_pl.selection.rules import RULES
from darts_pl.selection.trials import Trials
from darts_pl.settings import between, one_of, setting
from darts_pl.spaces import CellSpace, SearchSpace, Space, Supernet

#: Most operations that an edge keeps with form=edge.
PER_EDGE = 2

#: By cell type the pairs of every intermediate node.
Nodes = Mapping[str, Sequence[Sequence[Pair]]]


@dataclass(frozen=True, kw_only=True)
class ThresholdSettings:
    """Selection by a threshold."""

    threshold: float = setting("smallest mixing weight of an operation that is kept", between(0, 1))
    form: str = setting(
        "what is kept if it reaches the threshold: the strongest operations of the strongest edges of a node (sparse), "
        "or up to two operations of every edge (edge)",
        one_of("sparse", "edge"),
    )

    def misfits(self, space: Space) -> Iterator[str]:
        """Why this rule does not work in a space."""
        if self.form == "edge" and KINDS.get(space.kind).inputs_per_node in (None, 1):
            yield (
                f"select.form=edge: an edge or node of a {space.adjective} cell has one operation, not several; "
                "use select.form=sparse"
            )


@RULES.register("threshold", settings=ThresholdSettings)
class Threshold:
    """Keeps what is strong enough, and leaves out nodes to which nothing leads (Chu et al., Fair DARTS, ECCV 2020).

    A node without inputs is missing: what reads it is dropped, and the nodes after it move up. A cell
    of which no mixing weight reaches the threshold is derived by magnitude, and a line says so.
    """

    def __init__(self, settings: ThresholdSettings) -> None:
        self.settings = settings

    def __call__(self, supernet: Supernet, trials: Trials) -> Genotype:
        """The genotype. How many pairs each cell kept is recorded.

        Args:
            supernet: the trained search network; its expected mixing weights are read.
            trials: records and tells.
        """
        kept = self.pairs(supernet)
        largest = {name: float(mixing.weights.detach().max()) for name, mixing in supernet.mixing().items()}
        trials.decide(
            "threshold",
            lambda: {
                name: {"largest": largest[name], "kept": [[list(pair) for pair in node] for node in nodes]}
                for name, nodes in kept.items()
            },
        )
        for name, nodes in kept.items():
            if not reaches(nodes):
                trials.tell(
                    f"select.threshold={self.settings.threshold}: no mixing weight of the {name} cell reaches it (the "
                    f"largest is {largest[name]:.3f}); this cell is derived by magnitude"
                )
        return self._genotype(supernet, kept)

    def preview(self, supernet: Supernet) -> Genotype:
        """What the rule would derive, without trials."""
        return self._genotype(supernet, self.pairs(supernet))

    def pairs(self, supernet: Supernet) -> Nodes:
        """By cell type the pairs of every node that reach the threshold, of missing nodes too."""
        with torch.no_grad():
            weights = {name: mixing.weights for name, mixing in supernet.mixing().items()}
            return pairs_above(supernet.space, weights, strengths(supernet), self.settings)

    def _genotype(self, supernet: Supernet, kept: Nodes) -> Genotype:
        with torch.no_grad():
            otherwise = strongest(supernet.space, strengths(supernet))
        kind, cells = KINDS.get(supernet.space.kind), {}
        for name, cell in supernet.space.cells.items():
            nodes = without_missing_nodes(kept[name], cell.input_nodes)
            if not reaches(nodes):
                cells[name] = otherwise.cells[name]
                continue
            targets = range(cell.input_nodes, cell.input_nodes + len(nodes))
            cells[name] = CellGenotype(nodes, tuple(targets if kind.concat is not None else targets[-1:]))
        return Genotype(supernet.space.kind, cells)


def pairs_above(
    space: SearchSpace, weights: Mapping[str, Tensor], strengths: Mapping[str, Tensor], settings: ThresholdSettings
) -> dict[str, list[list[Pair]]]:
    """By cell type the pairs of every node whose mixing weight reaches the threshold, in the order of FairDARTS's code.

    Where a node keeps all its edges (NAS-Bench-201), an edge of which no operation reaches it has "none".

    Args:
        space: cell types, edges, candidates.
        weights: mixing weights [edges, candidates], which are compared with the threshold.
        strengths: of the same shape, by which edges are ranked: mixing weights times edge weights.
        settings: threshold and form.
    """
    kind, found = KINDS.get(space.kind), {}
    for name, cell in space.cells.items():
        tables = [values[name].detach().cpu().tolist() for values in (weights, strengths)]
        rows = [_candidates(cell, edge, tables[0][edge], tables[1][edge]) for edge in range(len(cell.edges))]
        choose = _per_edge if settings.form == "edge" else _sparse
        found[name] = [choose(cell, rows, target, settings.threshold, kind) for target in cell.targets]
    return found


#: Mixing weight, strength, operation with its source.
_Candidate = tuple[float, float, Pair]


def _candidates(cell: CellSpace, edge: int, weights: Sequence[float], strong: Sequence[float]) -> list[_Candidate]:
    source = cell.edges[edge][0]
    return [
        (weight, strength, Pair(operation, source))
        for weight, strength, operation in zip(weights, strong, cell.candidates[edge], strict=False)
        if operation != NONE
    ]


def _sparse(
    cell: CellSpace, rows: Sequence[Sequence[_Candidate]], target: int, threshold: float, kind: Kind
) -> list[Pair]:
    """The strongest operation of each of the strongest edges; ties go to the first operation and the lowest source."""
    best = [max(rows[edge], key=lambda one: one[1]) for edge in cell.entering(target) if rows[edge]]
    if kind.inputs_per_node is None:
        return [pair if weight >= threshold else Pair(NONE, pair.source) for weight, _, pair in best]
    best.sort(key=lambda one: -one[1])
    return [pair for weight, _, pair in best[: cell.inputs_per_node] if weight >= threshold]


def _per_edge(
    cell: CellSpace, rows: Sequence[Sequence[_Candidate]], target: int, threshold: float, kind: Kind
) -> list[Pair]:
    """The two strongest operations of each edge, the stronger one last; ties go to the last operations."""
    strong = [one for edge in cell.entering(target) for one in sorted(rows[edge], key=lambda one: one[1])[-PER_EDGE:]]
    return [pair for weight, _, pair in strong if weight >= threshold]


def reaches(nodes: Sequence[Sequence[Pair]]) -> bool:
    """Whether anything but "none" is left."""
    return any(pair.operation != NONE for node in nodes for pair in node)


def without_missing_nodes(nodes: Sequence[Sequence[Pair]], input_nodes: int) -> tuple[tuple[Pair, ...], ...]:
    """The nodes that read something, numbered one after the other.

    Args:
        nodes: pairs of every intermediate node. One that reads a node without pairs is dropped; a node
            that then has none left is missing too.
        input_nodes: number of input nodes, which count before the intermediate ones.
    """
    numbers = {node: node for node in range(input_nodes)}
    found: list[tuple[Pair, ...]] = []
    for target, pairs in enumerate(nodes, start=input_nodes):
        kept = tuple(Pair(pair.operation, numbers[pair.source]) for pair in pairs if pair.source in numbers)
        if kept:
            numbers[target] = input_nodes + len(found)
            found.append(kept)
    return tuple(found)
