"""The language model that a recurrent genotype builds (paper sections A.1.2 and A.2.2)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_pl.errors import UserError
from darts_pl.genotype import CellGenotype, Genotype
from darts_pl.ops import activation_function, activations
from darts_pl.spaces.rnn.sequence import Dropouts, GatedCell, SequenceNetwork
from darts_pl.spaces.rnn.supernet import CELL_TYPE
from darts_pl.spaces.rnn.whole_sequence import Readers, derived_sequence, slope_is_known


class _Reader(NamedTuple):
    """A node: its number, and the activation on its one edge."""

    node: int
    activation: str


class DerivedCell(GatedCell):
    """The cell of a genotype. Nodes that read the same node share one matrix product.

    Args:
        cell: one pair per node.
        units: H.
        dropouts: the cell's own are read.
    """

    def __init__(self, cell: CellGenotype, units: int, dropouts: Dropouts) -> None:
        super().__init__(units, len(cell.nodes), dropouts.dropouth, dropouts.dropoutx)
        self.concat = cell.concat
        #: by source node, what reads it
        self.readers: dict[int, list[_Reader]] = {}
        for node, pair in enumerate(cell.pairs, start=1):
            self.readers.setdefault(pair.source, []).append(_Reader(node, pair.operation))

    def prepare(self, *extra: Any) -> dict[int, Tensor]:
        """By source node the matrices of the nodes that read it, side by side."""
        found = {}
        for source in self._by_source():
            matrices = [self.nodes[reader.node - 1] for reader in self.readers[source]]
            found[source] = matrices[0] if len(matrices) == 1 else torch.cat(matrices, dim=1)
        return found

    def run(self, from_inputs: Tensor, hidden: Tensor, for_hidden: Tensor, mask: Tensor | None, *extra: Any) -> Tensor:
        names = [reader.activation for readers in self.readers.values() for reader in readers]
        known = 0 not in self.concat and all(map(slope_is_known, names))
        if self.runs_compiled() or not (known and self.training and torch.is_grad_enabled()):
            return super().run(from_inputs, hidden, for_hidden, mask, *extra)
        prepared, readers = self.prepare(*extra), self._by_source()
        places = {node: place for place, node in enumerate(node for one in readers for node, _ in self.readers[one])}

        def plain(part: Tensor, hidden: Tensor, matrix: Tensor, mask: Tensor | None, *matrices: Tensor) -> Tensor:
            return self.step_by_step(part, hidden, matrix, mask, dict(zip(readers, matrices, strict=True)))

        return derived_sequence(
            [
                Readers(
                    None if source == 0 else places[source],
                    places[self.readers[source][0].node],
                    tuple(reader.activation for reader in self.readers[source]),
                )
                for source in readers
            ],
            [places[node] for node in self.concat],
            plain,
            *(from_inputs, hidden, for_hidden, mask, *(prepared[source] for source in readers)),
        )

    def _by_source(self) -> list[int]:
        """The nodes that others read, in order."""
        return sorted(self.readers)

    def output(self, start: Tensor, mask: Tensor | None, prepared: dict[int, Tensor]) -> Tensor:
        """Mean of the concatenated nodes [B, H]."""
        states = {0: start}
        for source, matrix in prepared.items():  # a source is earlier than its readers: in order it is always known
            state = states[source]
            gates, candidates = self.gates_and_candidates(state, mask, matrix)
            for reader, gate, candidate in zip(
                self.readers[source], gates.sigmoid().unbind(1), candidates.unbind(1), strict=True
            ):
                states[reader.node] = torch.lerp(state, activation_function(reader.activation)(candidate), gate)
        total = states[self.concat[0]]
        for node in self.concat[1:]:
            total = total + states[node]
        return total / len(self.concat)


class LanguageModel(SequenceNetwork):
    """Tied words around one derived recurrent cell.

    Args:
        genotype: with one recurrent cell.
        vocabulary: V, number of words.
        units: H (850 in the paper on Penn Treebank).
        dropouts: in training.

    Raises:
        UserError: if the genotype is of another kind, an activation is unknown, a node does not
            read exactly one node, or a size is below 1.
    """

    def __init__(self, genotype: Genotype, *, vocabulary: int, units: int, dropouts: Dropouts | None = None) -> None:
        if set(genotype.cells) != {CELL_TYPE}:
            raise UserError(
                f"a genotype of kind {genotype.kind!r} does not build a language model; give one with a "
                f"{CELL_TYPE} cell, such as genotype=darts_v2_rnn"
            )
        genotype.check_operations(activations())
        (cell,) = genotype.cells.values()
        for node, pairs in enumerate(cell.nodes, start=1):
            if len(pairs) != 1:
                raise UserError(f"genotype: node {node} of the recurrent cell reads {len(pairs)} nodes; it must read 1")
        for name, value in (("vocabulary", vocabulary), ("units", units)):
            if value < 1:
                raise UserError(f"{name}={value}: must be at least 1")
        dropouts = dropouts or Dropouts()
        super().__init__(vocabulary, DerivedCell(cell, units, dropouts), dropouts)

    def count_parameters(self) -> int:
        """Number of weights; the matrix that encoder and decoder share counts once."""
        return sum(parameter.numel() for parameter in self.parameters())
