"""A search space as plain data: cell types, edges, candidates, inputs kept per node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS
from darts_pl.ops import check_candidates


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
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(source, target) of every edge."""
        targets = range(self.input_nodes, self.input_nodes + self.nodes)
        return tuple((source, target) for target in targets for source in range(target))

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


def uniform_cell(input_nodes: int, nodes: int, inputs_per_node: int, candidates: Sequence[str]) -> CellSpace:
    """A cell space with the same candidates on every edge.

    Raises:
        UserError: if there is no node, or fewer inputs than a node keeps.
    """
    if nodes < 1:
        raise UserError(f"a cell needs at least 1 intermediate node, not {nodes}")
    if not 1 <= inputs_per_node <= input_nodes:
        raise UserError(f"a node can keep 1 to {input_nodes} inputs, not {inputs_per_node}")
    edges = sum(input_nodes + index for index in range(nodes))
    return CellSpace(input_nodes, nodes, inputs_per_node, (tuple(candidates),) * edges)


SpaceBuilder = Callable[[Sequence[str], int], SearchSpace]
_SPACES: dict[str, SpaceBuilder] = {}


def search_space(name: str) -> Callable[[SpaceBuilder], SpaceBuilder]:
    """Decorator that registers a function of (candidates, nodes) -> SearchSpace under `name`."""

    def register(build: SpaceBuilder) -> SpaceBuilder:
        _SPACES[name] = build
        return build

    return register


def build_space(name: str, candidates: Sequence[str], nodes: int) -> SearchSpace:
    """The registered search space `name`.

    Raises:
        UserError: if the name is unknown or the candidates make no space.
    """
    if name not in _SPACES:
        raise UserError(f"unknown search space {name!r}; known: {', '.join(_SPACES)}")
    return _SPACES[name](candidates, nodes)


@search_space("cnn")
def cnn(candidates: Sequence[str], nodes: int = 4) -> SearchSpace:
    """Normal and reduction cells with two inputs and two kept inputs per node (paper section 2.1)."""
    check_candidates(candidates)
    kind = KINDS.get("cnn")
    cell = uniform_cell(kind.input_nodes, nodes, kind.usual_inputs(0), candidates)
    return SearchSpace("cnn", dict.fromkeys(kind.cell_types, cell))
