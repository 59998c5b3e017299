"""The graph that a drawing of a cell shows: named nodes, and edges with their operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from darts_pl.genotype import Genotype
from darts_pl.ops import NONE
from darts_pl.spaces import SearchSpace, space_of


@dataclass(frozen=True)
class Node:
    """A node by the name that figures print: ``c_{k-1}``, or the number of an intermediate node."""

    name: str
    role: Literal["input", "intermediate", "output"]


@dataclass(frozen=True)
class Edge:
    """An arrow from node `source` to node `target`.

    `operation` is None where nothing is chosen: the way into the first node of a recurrent cell,
    and the ways from the concatenated nodes to the output.
    """

    source: int
    target: int
    operation: str | None


@dataclass(frozen=True)
class CellGraph:
    """One cell as a graph: input nodes first, then intermediate nodes in order, the output last."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def cell_graph(genotype: Genotype, cell_type: str) -> CellGraph:
    """The graph of one cell of `genotype`.

    Intermediate nodes are numbered from 0, as in the figures of the DARTS paper. In a recurrent
    cell node 0 is the one computed from ``x_t`` and ``h_{t-1}`` (paper, appendix A.1.2).
    """
    cell = genotype.cells[cell_type]
    drawing = space_of(genotype.kind).drawing
    input_names, output_name = drawing.inputs, drawing.output
    # Some genotypes count from the node that all inputs feed, others count the inputs.
    shift = len(input_names) if drawing.first_node else 0
    first = len(input_names) + (1 if drawing.first_node else 0)
    output = first + len(cell.nodes)

    edges = [Edge(source, shift, None) for source in range(shift)]
    for target, pairs in enumerate(cell.nodes, start=first):
        edges += [Edge(pair.source + shift, target, pair.operation) for pair in pairs if pair.operation != NONE]
    edges += [Edge(source + shift, output, None) for source in sorted(cell.concat)]

    nodes = [Node(name, "input") for name in input_names]
    nodes += [Node(str(number), "intermediate") for number in range(output - len(input_names))]
    nodes += [Node(output_name, "output")]
    return CellGraph(tuple(nodes), tuple(edges))


def edge_names(space: SearchSpace, cell_type: str) -> list[str]:
    """Source and target of every edge of a searched cell, in its order, with the names that the drawings use.

    Args:
        space: what is searched.
        cell_type: such as "normal".
    """
    cell, drawing = space.cells[cell_type], space_of(space.kind).drawing
    inputs = () if drawing.first_node else drawing.inputs
    names = [*inputs, *(f"node {number}" for number in range(cell.input_nodes + cell.nodes - len(inputs)))]
    return [f"{names[source]} -> {names[target]}" for source, target in cell.edges]


def cell_title(kind: str, cell_type: str) -> str:
    """What a figure calls a cell type, such as "normal cell".

    Args:
        kind: of the genotype or the search space.
        cell_type: such as "normal".
    """
    return space_of(kind).drawing.titles.get(cell_type, cell_type)
