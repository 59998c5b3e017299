"""Genotypes as integers: the decisions of a search space, one integer each.

A node that keeps some of its edges is described by one decision about its sources and one decision
about the operation of each kept edge, in the order of the sources. A node that keeps every edge
(NAS-Bench-201) is described by one operation per edge. Equal genotypes have equal integers, in
whatever order the pairs of a node are written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype, Pair
from darts_pl.ops import NONE
from darts_pl.spaces import CellSpace, SearchSpace

#: One integer per decision: which of its choices is taken.
Integers = tuple[int, ...]


@dataclass(frozen=True)
class Decision:
    """One decision of a genotype.

    Args:
        name: such as "normal/node2/inputs" (the sources of a node) or "normal/node2/op0" (an operation).
        choices: tuples of sources, or names of operations.
        is_inputs: whether the choices are sources.
    """

    name: str
    choices: tuple[tuple[int, ...], ...] | tuple[str, ...]
    is_inputs: bool = False


@dataclass(frozen=True)
class Node:
    """The decisions of one node of one cell type.

    Args:
        cell: the cell type.
        target: number of the node in its cell.
        first: index of the node's first decision.
        inputs: all sets of sources the node can keep; one set where it keeps every edge.
        decides_inputs: whether decision `first` chooses among `inputs`.
        operations: names of the operations, in the order of the integers of the node's operation decisions.
        allowed: for every set of sources, and every source in it, the integers of the operations that the edge has.
    """

    cell: str
    target: int
    first: int
    inputs: tuple[tuple[int, ...], ...]
    decides_inputs: bool
    operations: tuple[str, ...]
    allowed: tuple[tuple[tuple[int, ...], ...], ...]

    @property
    def edges(self) -> int:
        """How many edges the node keeps."""
        return len(self.inputs[0])

    @property
    def first_operation(self) -> int:
        """Index of the node's first operation decision."""
        return self.first + self.decides_inputs

    @property
    def stop(self) -> int:
        """One more than the index of the node's last decision."""
        return self.first_operation + self.edges

    def chosen(self, integers: Sequence[int]) -> int:
        """Which of `inputs` the integers choose."""
        return integers[self.first] if self.decides_inputs else 0


class Encoding:
    """The decisions of a search space, and the way between integers and genotypes.

    Args:
        space: cell types, edges, candidates (which may differ per edge), inputs kept per node.
        every_edge: every edge is kept, has one operation, which may be "none", and the last node alone is
            the cell's output (NAS-Bench-201). Otherwise a node keeps `inputs_per_node` edges with different
            sources, "none" is never chosen, and all intermediate nodes are concatenated (paper section 2.1).

    Raises:
        UserError: if a node has too few edges with a candidate besides "none".
    """

    def __init__(self, space: SearchSpace, *, every_edge: bool = False) -> None:
        self.kind = space.kind
        self.every_edge = every_edge
        self.nodes: tuple[Node, ...] = tuple(_nodes(space, every_edge))
        self.decisions: tuple[Decision, ...] = tuple(itertools.chain.from_iterable(map(_decisions, self.nodes)))
        self._node_of = [node for node in self.nodes for _ in range(node.first, node.stop)]
        self._concat = {
            name: tuple(range(cell.input_nodes, cell.input_nodes + cell.nodes))[-1 if every_edge else 0 :]
            for name, cell in space.cells.items()
        }

    def __len__(self) -> int:
        return len(self.decisions)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many choices each decision has."""
        return tuple(len(decision.choices) for decision in self.decisions)

    def node_of(self, index: int) -> Node:
        """The node that decision `index` belongs to."""
        return self._node_of[index]

    def allowed(self, prefix: Sequence[int]) -> tuple[int, ...]:
        """The choices of the decision that follows `prefix`, the integers of all decisions before it."""
        index = len(prefix)
        node = self._node_of[index]
        if node.decides_inputs and index == node.first:
            return tuple(range(len(node.inputs)))
        return node.allowed[node.chosen(prefix)][index - node.first_operation]

    def is_valid(self, integers: Sequence[int]) -> bool:
        """Whether the integers stand for a genotype of the space."""
        return len(integers) == len(self) and all(
            isinstance(value, (int, np.integer))
            and 0 <= value < len(self.decisions[index].choices)
            and value in self.allowed(integers[:index])
            for index, value in enumerate(integers)
        )

    def decode(self, integers: Sequence[int]) -> Genotype:
        """The genotype that the integers stand for.

        Raises:
            ValueError: if there is none.
        """
        if not self.is_valid(integers):
            raise ValueError(f"{list(integers)} is no genotype of this space")
        cells: dict[str, list[tuple[Pair, ...]]] = {}
        for node in self.nodes:
            cells.setdefault(node.cell, []).append(tuple(self.pairs(node, integers)))
        return Genotype(
            self.kind, {name: CellGenotype(tuple(nodes), self._concat[name]) for name, nodes in cells.items()}
        )

    def pairs(self, node: Node, integers: Sequence[int]) -> Iterator[Pair]:
        """The pairs of one node, by source."""
        for position, source in enumerate(node.inputs[node.chosen(integers)]):
            yield Pair(node.operations[integers[node.first_operation + position]], source)

    def encode(self, genotype: Genotype) -> Integers:
        """The integers of a genotype; the order of the pairs of a node does not matter.

        Raises:
            UserError: if the genotype is not one of this space; the message names the node.
        """
        if genotype.kind != self.kind:
            raise UserError(f"genotype of kind {genotype.kind!r}: the search space has genotypes of kind {self.kind!r}")
        for name, concat in self._concat.items():
            if tuple(sorted(genotype.cells[name].concat)) != concat:
                found = list(genotype.cells[name].concat)
                raise UserError(f"genotype: the {name} cell concatenates {found}; cells of this space {list(concat)}")
        values: list[int] = []
        starts = {node.cell: node.target for node in reversed(self.nodes)}
        for node in self.nodes:
            nodes, index = genotype.cells[node.cell].nodes, node.target - starts[node.cell]
            count = sum(other.cell == node.cell for other in self.nodes)
            if len(nodes) != count:
                raise UserError(f"genotype: the {node.cell} cell has {len(nodes)} nodes; cells of this space {count}")
            values += _encode_node(node, nodes[index])
        return tuple(values)

    def draw(self, random: Random) -> Integers:
        """A genotype drawn uniformly: the sources of every node, then an operation on each kept edge."""
        values: list[int] = []
        for _ in self.decisions:
            values.append(random.choice(self.allowed(values)))
        return tuple(values)

    def moves(self, integers: Integers, index: int) -> list[Integers]:
        """All genotypes with another choice of decision `index`.

        Where the sources of a node change, an operation stays with its source, and the operations of
        the sources that are dropped go to the new ones in order. An operation that a new edge lacks
        becomes the first that it has.
        """
        node = self._node_of[index]
        if not (node.decides_inputs and index == node.first):
            others = [value for value in self.allowed(integers[:index]) if value != integers[index]]
            return [(*integers[:index], value, *integers[index + 1 :]) for value in others]
        operations = integers[node.first_operation : node.stop]
        found = []
        for chosen in range(len(node.inputs)):
            if chosen != integers[index]:
                moved = _move_operations(node, integers[index], chosen, operations)
                found.append((*integers[:index], chosen, *moved, *integers[node.stop :]))
        return found

    def neighbours(self, integers: Integers) -> list[Integers]:
        """All genotypes that differ by one decision."""
        return [move for index in range(len(self)) for move in self.moves(integers, index)]

    def mutate(self, integers: Integers, random: Random, source_fraction: float | None = None) -> Integers:
        """A genotype that differs by one decision.

        Args:
            integers: the genotype to change.
            random: draws the decision, then its new choice, both uniformly.
            source_fraction: how often a decision about sources is changed, where the space has any with
                another choice; None = as often as any other decision.
        """
        changeable = [index for index in range(len(self)) if len(self.allowed(integers[:index])) > 1]
        if not changeable:
            return integers
        sources = [index for index in changeable if self.decisions[index].is_inputs]
        operations = [index for index in changeable if not self.decisions[index].is_inputs]
        if source_fraction is not None and sources and operations:
            changeable = sources if random.random() < source_fraction else operations
        return random.choice(self.moves(integers, random.choice(changeable)))


def _nodes(space: SearchSpace, every_edge: bool) -> Iterator[Node]:
    first = 0
    for name, cell in space.cells.items():
        for target in range(cell.input_nodes, cell.input_nodes + cell.nodes):
            node = _node(name, cell, target, first, every_edge)
            first = node.stop
            yield node


def _node(name: str, cell: CellSpace, target: int, first: int, every_edge: bool) -> Node:
    by_source = {
        cell.edges[edge][0]: tuple(one for one in cell.candidates[edge] if every_edge or one != NONE)
        for edge in cell.entering(target)
    }
    usable = [source for source, operations in by_source.items() if operations]
    kept = len(by_source) if every_edge else cell.inputs_per_node
    if len(usable) < kept:
        raise UserError(
            f"node {target} of the {name} cell has {len(usable)} edges with a candidate besides {NONE!r}; "
            f"a genotype needs {kept}"
        )
    operations = tuple(dict.fromkeys(one for source in usable for one in by_source[source]))
    number = {operation: index for index, operation in enumerate(operations)}
    inputs = tuple(itertools.combinations(usable, kept))
    allowed = tuple(tuple(tuple(number[one] for one in by_source[source]) for source in one) for one in inputs)
    return Node(name, target, first, inputs, not every_edge, operations, allowed)


def _decisions(node: Node) -> Iterator[Decision]:
    place = f"{node.cell}/node{node.target}"
    if node.decides_inputs:
        yield Decision(f"{place}/inputs", node.inputs, is_inputs=True)
    for position in range(node.edges):
        yield Decision(f"{place}/op{position}", node.operations)


def _encode_node(node: Node, pairs: Sequence[Pair]) -> list[int]:
    ordered = sorted(pairs, key=lambda pair: pair.source)
    sources = tuple(pair.source for pair in ordered)
    where = f"genotype: node {node.target} of the {node.cell} cell"
    if sources not in node.inputs:
        raise UserError(f"{where} reads nodes {list(sources)}, which this space does not allow")
    chosen = node.inputs.index(sources)
    values = [chosen] if node.decides_inputs else []
    for pair, allowed in zip(ordered, node.allowed[chosen], strict=True):
        known = {node.operations[index]: index for index in allowed}
        if pair.operation not in known:
            raise UserError(f"{where}: {pair.operation!r} is no candidate of the edge; known: {', '.join(known)}")
        values.append(known[pair.operation])
    return values


def _move_operations(node: Node, old: int, new: int, operations: Sequence[int]) -> list[int]:
    """The operations of a node after its sources changed from `inputs[old]` to `inputs[new]`."""
    by_source = dict(zip(node.inputs[old], operations, strict=True))
    free = [by_source[source] for source in node.inputs[old] if source not in node.inputs[new]]
    moved = []
    for source, allowed in zip(node.inputs[new], node.allowed[new], strict=True):
        operation = by_source[source] if source in by_source else free.pop(0)
        moved.append(operation if operation in allowed else allowed[0])
    return moved
