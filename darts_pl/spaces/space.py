"""A search space as plain data: cell types, edges, candidates, inputs kept per node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS, CellGenotype, Genotype, Pair


@dataclass(frozen=True)
class CellSpace:
    """The search space of one cell type.

    Every intermediate node reads every earlier node. Edges are numbered node by node, and inside a
    node by source: with two input nodes (2,0), (2,1), (3,0), (3,1), (3,2), ...

    Args:
        input_nodes: number of input nodes (2 for convolutional, 1 for recurrent cells).
        nodes: number of intermediate nodes.
        inputs_per_node: how many edges a derived node keeps.
        candidates: for every edge its candidate operations, in the order of the alphas.
    """

    input_nodes: int
    nodes: int
    inputs_per_node: int
    candidates: tuple[tuple[str, ...], ...]

    @property
    def targets(self) -> range:
        """Numbers of the intermediate nodes."""
        return range(self.input_nodes, self.input_nodes + self.nodes)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(source, target) of every edge."""
        return tuple((source, target) for target in self.targets for source in range(target))

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the alphas: [edges, most candidates of an edge]."""
        return len(self.edges), max(map(len, self.candidates))

    def leaving(self, source: int) -> tuple[int, ...]:
        """Numbers of the edges that leave node `source`, by target."""
        return tuple(edge for edge, (start, _) in enumerate(self.edges) if start == source)

    def leaving_by_source(self) -> list[tuple[int, ...]]:
        """`leaving` of every node but the last, which no edge leaves."""
        return [self.leaving(source) for source in range(self.input_nodes + self.nodes - 1)]

    def entering(self, target: int) -> tuple[int, ...]:
        """Numbers of the edges that enter node `target`, by source."""
        return tuple(edge for edge, (_, end) in enumerate(self.edges) if end == target)


@dataclass(frozen=True)
class SearchSpace:
    """A search space: the `kind` of its genotypes and one `CellSpace` per cell type."""

    kind: str
    cells: Mapping[str, CellSpace]

    def genotype(self, nodes: Mapping[str, Iterable[Iterable[Pair]]]) -> Genotype:
        """The genotype with these pairs.

        All intermediate nodes of a cell are concatenated, or its last node is the output where the kind of
        genotypes has it so.

        Args:
            nodes: by cell type the pairs of every intermediate node, in order.

        Raises:
            UserError: if `Genotype` refuses them.
        """
        every = KINDS.get(self.kind).concat is not None
        return Genotype(
            self.kind,
            {
                name: CellGenotype(tuple(map(tuple, nodes[name])), tuple(cell.targets if every else cell.targets[-1:]))
                for name, cell in self.cells.items()
            },
        )


#: Names of candidates: the same for every edge, or a list for each edge.
Candidates = Sequence[str] | Sequence[Sequence[str]]


def cell_space(
    input_nodes: int,
    nodes: int,
    inputs_per_node: int | None,
    candidates: Candidates,
    check: Callable[[Sequence[str]], None],
) -> CellSpace:
    """A cell space with the same candidates on every edge, or with a list of candidates for each edge.

    Args:
        input_nodes: number of input nodes.
        nodes: number of intermediate nodes.
        inputs_per_node: how many edges a derived node keeps; None = all.
        candidates: names, or for every edge a list of names, edges numbered as in `CellSpace`.
        check: raises UserError for candidates that an edge cannot have.

    Raises:
        UserError: if there is no node, there are fewer inputs than a node keeps, the number of lists
            is not that of the edges, or `check` raises.
    """
    if nodes < 1:
        raise UserError(f"a cell needs at least 1 intermediate node, not {nodes}")
    if inputs_per_node is not None and not 1 <= inputs_per_node <= input_nodes:
        raise UserError(f"a node can keep 1 to {input_nodes} inputs, not {inputs_per_node}")
    edges = sum(input_nodes + index for index in range(nodes))
    lists = [one for one in candidates if not isinstance(one, str)]
    if lists and len(lists) != len(candidates):
        raise UserError("candidates: give either names for all edges, or one list of names for each edge")
    if lists and len(lists) != edges:
        raise UserError(f"candidates: {len(lists)} lists for a cell of {edges} edges; give one list for each edge")
    by_edge = tuple(tuple(one) for one in lists) or (tuple(str(name) for name in candidates),) * edges
    for names in dict.fromkeys(by_edge):
        check(names)
    return CellSpace(input_nodes, nodes, inputs_per_node or input_nodes + nodes - 1, by_edge)
