"""The contract of a search space: one object with all that belongs to it, found by its name in `SPACES`."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype, Pair
from darts_pl.ops import NONE
from darts_pl.registry import Registry
from darts_pl.spaces.computed import ComputedPair
from darts_pl.spaces.edges import Edges
from darts_pl.spaces.mixed import PlainEdges
from darts_pl.spaces.relaxation import Relaxation, Softmax
from darts_pl.spaces.settings import SearchSettings
from darts_pl.spaces.skip import Skip
from darts_pl.spaces.space import CellSpace, SearchSpace
from darts_pl.spaces.supernet import Supernet
from darts_pl.spaces.tables import Table


@dataclass(frozen=True)
class Parts:
    """The parts of a method that a supernet is built from.

    Args:
        relaxation: alphas -> mixing weights.
        edges: how edges compute.
        skip: what happens to skip connections.
    """

    relaxation: Relaxation = field(default_factory=Softmax)
    edges: Edges = field(default_factory=PlainEdges)
    skip: Skip = field(default_factory=Skip)


@dataclass(frozen=True)
class Drawing:
    """How a cell is drawn and named.

    Args:
        inputs: names of what enters a cell.
        output: name of what leaves it.
        join: what makes the output of the nodes: "concat", "mean", or "last".
        titles: by cell type, what a figure calls it.
        first_node: whether all inputs feed one first node, from which a genotype counts; otherwise it
            counts the inputs.
        enters: what the first node does with the inputs, such as "tanh"; "" = it is the input.
    """

    inputs: tuple[str, ...]
    output: str
    join: str
    titles: Mapping[str, str]
    first_node: bool = False
    enters: str = "tanh"


class Space(ABC):
    """A search space: what can be found, and what is built while searching and of the result.

    Attributes:
        name: in `SPACES` and in the configuration.
        kind: of its genotypes.
        data: the kind of data it reads, such as "images".
        settings: the dataclass of its section `search`.
        drawing: how its cells are drawn.
        skip: the candidate that passes its input on; None = there is none.
        adjective: what a genotype of this space is called, such as "convolutional".
        builds: what its final network is, such as "an image classifier".
        example: name of a published genotype.
        training: the value of `train.network` that trains its final networks; None = it has no final network,
            and `network` and `network_sizes` are not overridden.
        recipe: a choice of the group `train` that does so.
        table: what is known of all its genotypes, for look-ups; None = nothing.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    data: ClassVar[str]
    settings: ClassVar[type[SearchSettings]]
    drawing: ClassVar[Drawing]
    skip: ClassVar[str | None] = None
    adjective: ClassVar[str]
    builds: ClassVar[str]
    example: ClassVar[str]
    training: ClassVar[str | None] = None
    recipe: ClassVar[str | None] = None
    table: ClassVar[Table | None] = None

    @abstractmethod
    def cells(self, candidates: Sequence[Any], nodes: int) -> SearchSpace:
        """What is searched, as plain data.

        Args:
            candidates: names for every edge, or a list of names for each edge.
            nodes: intermediate nodes of a cell.

        Raises:
            UserError: if these make no space.
        """

    @abstractmethod
    def supernet(
        self, settings: Any, facts: Mapping[str, int], parts: Parts, cells: SearchSpace | None = None
    ) -> Supernet:
        """The search network.

        Args:
            settings: of the type that `settings` names.
            facts: sizes that the data determine, such as the number of classes.
            parts: relaxation, edges, skip.
            cells: what is searched, where it is not what the settings say (a later stage).
        """

    def network(self, genotype: Genotype, **sizes: Any) -> nn.Module:
        """The final network of a genotype, untrained.

        Raises:
            UserError: if the genotype builds no such network, or the space has no final network.
        """
        raise UserError(self.no_network)

    def network_sizes(self, train: Any, facts: Mapping[str, int]) -> Mapping[str, Any]:
        """The arguments of `network` for a training.

        Args:
            train: the settings of `train.network`.
            facts: sizes that the data determine.

        Raises:
            UserError: if the space has no final network.
        """
        raise UserError(self.no_network)

    def computed_pairs(self, genotype: Genotype, network: nn.Module) -> Iterator[ComputedPair]:
        """Every operation of every cell of a final network, in the order in which they are computed; "none" is not
        computed. The latency of a network is measured through it.

        Args:
            genotype: what the network was built from.
            network: as `network` returns it.

        Raises:
            UserError: if this space does not say where its operations are.
        """
        raise UserError(self._no_latency)

    def check_latency_is_measured(self) -> None:
        """Raise UserError unless this space says where its operations are, through `computed_pairs`."""
        if type(self).computed_pairs is Space.computed_pairs:
            raise UserError(self._no_latency)

    @property
    def _no_latency(self) -> str:
        return f"search.space={self.name}: the latency of {self.adjective} networks is not measured"

    @property
    def no_network(self) -> str:
        """The message where a final network is asked of a space that has none."""
        return f"search.space={self.name} has no network to train"

    def sizes_of(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Any] | None:
        """The arguments of `network` for the network that a state dict under our names belongs to; None = they
        are read as from the networks of the DARTS paper, by `darts_pl.interop`.

        Raises:
            UserError: if it is not that of such a network.
        """
        return None

    @abstractmethod
    def operations(self) -> Sequence[str]:
        """Names of all operations that a genotype of this space may use."""

    def draw(self, cells: SearchSpace, generator: random.Random) -> Genotype:
        """A genotype drawn uniformly: for every node different sources, on each edge an operation.

        Args:
            cells: what is searched; "none" is never drawn.
            generator: what is drawn from.

        Raises:
            UserError: if a node has too few edges with a candidate besides "none".
        """
        return Genotype(cells.kind, {name: _draw_cell(name, cell, generator) for name, cell in cells.cells.items()})

    def published_sizes(self, genotype: Genotype) -> Mapping[str, tuple[int, int | None]]:
        """By name of a network of the literature, such as "cifar", its (parameters, multiply-adds for one
        sample) with this genotype; None where nobody counts multiply-adds."""
        return {}


def _draw_cell(name: str, cell: CellSpace, generator: random.Random) -> CellGenotype:
    operations = [[one for one in candidates if one != NONE] for candidates in cell.candidates]
    nodes = []
    for target in cell.targets:
        usable = [edge for edge in cell.entering(target) if operations[edge]]
        kept = min(cell.inputs_per_node, target)
        if len(usable) < kept:
            raise UserError(
                f"node {target} of the {name} cell has {len(usable)} edges with a candidate besides {NONE!r}; "
                f"a random genotype needs {kept}"
            )
        edges = sorted(generator.sample(usable, kept))
        nodes.append(tuple(Pair(generator.choice(operations[edge]), cell.edges[edge][0]) for edge in edges))
    return CellGenotype(tuple(nodes), concat=tuple(cell.targets))


#: Search spaces by name.
SPACES: Registry[Space] = Registry("search space")


def register_space(space: type[Space]) -> type[Space]:
    """Class decorator that registers one object of a space under its name."""
    SPACES.add(space.name, space(), settings=space.settings, origin=space)
    return space


def space_of(kind: str) -> Space:
    """The space whose genotypes are of that kind.

    Raises:
        UserError: if there is none.
    """
    for name in SPACES:
        if SPACES.get(name).kind == kind:
            return SPACES.get(name)
    kinds = dict.fromkeys(SPACES.get(name).kind for name in SPACES)
    raise UserError(f"a genotype of kind {kind!r} builds no network; known: {', '.join(kinds)}")


def build_space(name: str, candidates: Sequence[Any], nodes: int) -> SearchSpace:
    """What is searched in the space `name`, as plain data; see `Space.cells`."""
    return SPACES.get(name).cells(candidates, nodes)
