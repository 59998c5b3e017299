"""The graph that a drawing of a cell shows: named nodes, and edges with their operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from darts_pl.genotype import Genotype

#: Names of what enters a cell and of what leaves it. A convolutional cell reads the outputs of the
#: two cells before it; a recurrent cell reads the word and the last hidden state.
ENDS = {
    "cnn": (("c_{k-2}", "c_{k-1}"), "c_{k}"),
    "rnn": (("x_t", "h_{t-1}"), "h_t"),
}
TITLES = {"normal": "normal cell", "reduce": "reduction cell", "recurrent": "recurrent cell"}


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
    input_names, output_name = ENDS[genotype.kind]
    # A recurrent genotype counts from the node that both inputs feed; a convolutional one counts the inputs.
    shift = len(input_names) if genotype.kind == "rnn" else 0
    first = len(input_names) + (1 if genotype.kind == "rnn" else 0)
    output = first + len(cell.nodes)

    edges = [Edge(source, shift, None) for source in range(shift)]
    for target, pairs in enumerate(cell.nodes, start=first):
        edges += [Edge(pair.source + shift, target, pair.operation) for pair in pairs]
    edges += [Edge(source + shift, output, None) for source in sorted(cell.concat)]

    nodes = [Node(name, "input") for name in input_names]
    nodes += [Node(str(number), "intermediate") for number in range(output - len(input_names))]
    nodes += [Node(output_name, "output")]
    return CellGraph(tuple(nodes), tuple(edges))
