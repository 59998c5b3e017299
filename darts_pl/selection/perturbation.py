"""The candidate whose removal hurts the supernet most wins (DARTS-PT).

Wang et al., "Rethinking Architecture Selection in Differentiable NAS", ICLR 2021, section 4 and algorithm 1; the
order of the events and the ties are those of the authors' code.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from darts_pl.genotype import KINDS, Genotype, Pair
from darts_pl.ops import NONE
from darts_pl.selection.criterion import CRITERIA, harm, misfits_of_criterion
from darts_pl.selection.rules import RULES
from darts_pl.selection.score import Score
from darts_pl.selection.trials import Trials
from darts_pl.selection.tuner import TuningSettings
from darts_pl.settings import between, one_of, setting
from darts_pl.spaces import SearchSpace, Space, Supernet, fix_weights

#: (cell type, edge or node) in the order of the decisions of one event.
Event = tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class PerturbationSettings(TuningSettings):
    """Selection by what the removal of a candidate costs."""

    criterion: str = setting("what the supernet is judged by", CRITERIA)
    topology: str = setting(
        "whether the edges of a node are judged with all others present, or dropped one by one",
        one_of("each", "greedy"),
    )
    fraction: float = setting(
        "fraction of the batches of the valid split per evaluation", between(0, 1, with_low=False)
    )

    def misfits(self, space: Space) -> Iterator[str]:
        """Why this rule does not work in a space."""
        yield from misfits_of_criterion(self.criterion, space)


@dataclass(frozen=True)
class Order:
    """In which order edges and nodes are decided; the cell types take turns.

    Args:
        edges: by cell type the undecided edges.
        nodes: by cell type the nodes with more usable edges than they keep.
    """

    edges: Mapping[str, Sequence[int]]
    nodes: Mapping[str, Sequence[int]]

    def edge_events(self) -> list[Event]:
        """One event per edge of the cell type with the most."""
        return _events(self.edges)

    def node_events(self) -> list[Event]:
        """One event per node of the cell type with the most."""
        return _events(self.nodes)


def _events(places: Mapping[str, Sequence[int]]) -> list[Event]:
    rows = zip_longest(*([(name, place) for place in chosen] for name, chosen in places.items()))
    return [tuple(place for place in row if place is not None) for row in rows]


def random_order(supernet: Supernet, seed: int) -> Order:
    """Undecided edges and nodes in random order, the same for the same seed.

    Args:
        supernet: an edge with a single live candidate is decided.
        seed: 0 or more.
    """
    draw, kind = random.Random(seed), KINDS.get(supernet.space.kind)
    edges, nodes = {}, {}
    for name, cell in supernet.space.cells.items():
        options = eligible(supernet, name)
        columns = live_columns(supernet, name)
        undecided = [edge for edge in range(len(options)) if options[edge] and len(columns[edge]) > 1]
        edges[name] = draw.sample(undecided, len(undecided))
        usable = {target: [edge for edge in cell.entering(target) if options[edge]] for target in cell.targets}
        kept = [] if kind.inputs_per_node is None else [t for t in usable if len(usable[t]) > cell.inputs_per_node]
        nodes[name] = draw.sample(kept, len(kept))
    return Order(edges, nodes)


def live_columns(supernet: Supernet, cell_type: str) -> list[list[int]]:
    """For every edge the columns of its candidates that are not removed."""
    return [[column for column, one in enumerate(row) if one] for row in supernet.arch.live(cell_type)]


def eligible(supernet: Supernet, cell_type: str) -> list[list[int]]:
    """For every edge the columns that may be chosen: "none" only where the kind of genotypes allows it."""
    cell, kind = supernet.space.cells[cell_type], KINDS.get(supernet.space.kind)
    return [
        [column for column in columns if kind.none or cell.candidates[edge][column] != NONE]
        for edge, columns in enumerate(live_columns(supernet, cell_type))
    ]


@RULES.register("perturbation", settings=PerturbationSettings)
class Perturbation:
    """Decides edge by edge, then node by node, and trains the supernet in between.

    Args:
        settings: see `PerturbationSettings`.
        order: of the decisions; None = random, by the seed of the trials.
    """

    def __init__(self, settings: PerturbationSettings, order: Order | None = None) -> None:
        self.settings = settings
        self.order = order

    def __call__(self, supernet: Supernet, trials: Trials) -> Genotype:
        """The genotype. The supernet is left with what was decided fixed in it.

        Raises:
            UserError: if the supernet cannot be trained or judged by the criterion.
        """
        order = self.order or random_order(supernet, trials.seed)
        projection = _Projection(supernet, trials, self.settings)
        events: list[tuple[Callable[[str, int], None], Event]]
        events = [(projection.decide_edge, event) for event in order.edge_events()]
        events += [(projection.decide_node, event) for event in order.node_events()]
        trials.expect(
            decisions=sum(len(event) for _, event in events),
            evaluations=sum(projection.cost(decide, *place) for decide, event in events for place in event),
        )
        for index, (decide, event) in enumerate(events):
            if index:
                trials.tune(self.settings.tune_epochs)
            for name, place in event:
                decide(name, place)
        return projection.genotype()


class _Projection:
    """What is decided so far, fixed in the supernet."""

    def __init__(self, supernet: Supernet, trials: Trials, settings: PerturbationSettings) -> None:
        self.supernet, self.trials, self.settings = supernet, trials, settings
        self.space: SearchSpace = supernet.space
        self.options = {name: eligible(supernet, name) for name in self.space.cells}
        self.columns = {name: live_columns(supernet, name) for name in self.space.cells}
        self.fixed = {name: dict[tuple[int, int], float]() for name in self.space.cells}
        self.chosen = {name: dict[int, int]() for name in self.space.cells}
        for name, options in self.options.items():
            for edge, columns in enumerate(options):
                if not columns or len(self.columns[name][edge]) == 1:
                    self._choose(name, edge, columns[0] if columns else None)
            supernet.fix(name, self.fixed[name])

    def cost(self, decide: Any, name: str, place: int) -> int:
        """Scores that a decision computes."""
        if decide == self.decide_edge:
            return len(self.columns[name][place])
        cell, count = self.space.cells[name], len(self._usable(name, place))
        if self.settings.topology == "each":
            return count
        return sum(range(cell.inputs_per_node + 1, count + 1))

    def decide_edge(self, name: str, edge: int) -> None:
        """Keep the candidate whose removal hurts most; the first wins ties."""
        cell = self.space.cells[name]

        def compute() -> dict[str, Any]:
            scores = {column: self._without(name, [(edge, column)]) for column in self.columns[name][edge]}
            best = max(self.options[name][edge], key=lambda column: self._harm(scores[column]))  # the first at a tie
            removed = {cell.candidates[edge][column]: score._asdict() for column, score in scores.items()}
            return {"chosen": cell.candidates[edge][best], "removed": removed}

        found = self.trials.decide(f"{name} edge {edge}", compute, len(self.columns[name][edge]))
        self._choose(name, edge, cell.candidates[edge].index(found["chosen"]))
        self.supernet.fix(name, self.fixed[name])

    def decide_node(self, name: str, target: int) -> None:
        """Keep the edges whose removal hurts most; the later edge is dropped at ties."""
        kept, usable = self.space.cells[name].inputs_per_node, self._usable(name, target)
        rounds = 1 if self.settings.topology == "each" else len(usable) - kept

        def compute() -> dict[str, Any]:
            remaining, removed = list(usable), []
            for _ in range(rounds):
                gone = [
                    (edge, column) for edge in usable if edge not in remaining for column in self._present(name, edge)
                ]
                scores = {
                    edge: self._without(name, gone + [(edge, column) for column in self._present(name, edge)])
                    for edge in remaining
                }
                ranked = sorted(remaining, key=lambda edge: (-self._harm(scores[edge]), edge))
                remaining = sorted(ranked[:kept] if rounds == 1 else ranked[:-1])
                removed.append({str(edge): score._asdict() for edge, score in scores.items()})
            return {"kept": remaining, "removed": removed}

        cost = self.cost(self.decide_node, name, target)
        found = self.trials.decide(f"{name} node {target}", compute, cost)
        for edge in usable:
            if edge not in found["kept"]:
                self._choose(name, edge, None)
        self.supernet.fix(name, self.fixed[name])

    def genotype(self) -> Genotype:
        """What was decided; the pairs of a node are listed by source."""
        nodes = {}
        for name, cell in self.space.cells.items():
            nodes[name] = [
                [
                    Pair(cell.candidates[edge][self.chosen[name][edge]], cell.edges[edge][0])
                    for edge in cell.entering(target)
                    if edge in self.chosen[name]
                ]
                for target in cell.targets
            ]
        return self.space.genotype(nodes)

    def _usable(self, name: str, target: int) -> list[int]:
        """The edges of a node that can be kept."""
        return [edge for edge in self.space.cells[name].entering(target) if self.options[name][edge]]

    def _present(self, name: str, edge: int) -> list[int]:
        """The columns of an edge that contribute to its node."""
        return [self.chosen[name][edge]] if edge in self.chosen[name] else self.columns[name][edge]

    def _choose(self, name: str, edge: int, column: int | None) -> None:
        """Give the edge weight 1 on one candidate; None drops the edge."""
        self.chosen[name].pop(edge, None)
        if column is not None:
            self.chosen[name][edge] = column
        self.fixed[name] |= {(edge, other): float(other == column) for other in self.columns[name][edge]}

    def _without(self, name: str, places: Sequence[tuple[int, int]]) -> Score:
        """The score with some mixing weights set to 0 and the others as they are."""
        mixing = self.supernet.mixing()
        mixing[name] = fix_weights(mixing[name], dict.fromkeys(places, 0.0))
        return self.trials.score(mixing, self.settings.fraction)

    def _harm(self, score: Score) -> float:
        return harm(score, self.settings.criterion)
