"""The recurrent supernet (paper sections 2.1 and A.1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.genotype import KINDS
from darts_pl.ops import NONE, activation_function, check_activations
from darts_pl.spaces.relaxation import Relaxation, softmax
from darts_pl.spaces.rnn.sequence import Dropouts, GatedCell, SequenceNetwork, SequenceOutput, word_loss
from darts_pl.spaces.space import CellSpace, SearchSpace, search_space, uniform_cell
from darts_pl.spaces.supernet import Outcome, Supernet

CELL_TYPE = "recurrent"


@search_space("rnn")
def rnn(candidates: Sequence[str], nodes: int = 8) -> SearchSpace:
    """One recurrent cell: each node keeps one earlier node and one activation (paper section 2.1)."""
    check_activations(candidates)
    kind = KINDS.get("rnn")
    return SearchSpace("rnn", {CELL_TYPE: uniform_cell(kind.input_nodes, nodes, kind.usual_inputs(0), candidates)})


class NodeNorm(nn.Module):
    """BatchNorm without affine part, shared by all nodes of the cell.

    Args:
        units: H.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, units: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(units))
        self.register_buffer("running_var", torch.ones(units))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, H], normalised over the batch in training and by the running statistics otherwise."""
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, training=self.training)


class _Leaving(NamedTuple):
    """The K edges that leave one node, as all steps of a sequence use them."""

    matrix: Tensor  # [H, K*2H]
    shares: tuple[tuple[str, Tensor], ...]  # living activations with their mixing weights [K, 1]
    present: Tensor  # sum of these mixing weights [K, 1]


class MixedCell(GatedCell):
    """The cell with every edge mixed.

    All edges that leave one node read the same state: one matrix product serves them, and each
    activation is computed once for them. With mixing weights p, edge (j, i) adds
    ``sum_k p_k (s_j + c (f_k(d) - s_j))``, which is ``lerp(P s_j, sum_k p_k f_k(d), c)`` with P the
    sum of the p. What a node receives is added up as its sources come; nothing is stacked.

    Args:
        space: edges and candidates.
        units: H.
        dropouts: the cell's own are read.
    """

    columns: Tensor

    def __init__(self, space: CellSpace, units: int, dropouts: Dropouts) -> None:
        super().__init__(units, space.nodes, dropouts.dropouth, dropouts.dropoutx)
        self.space = space
        self.norm = NodeNorm(units)
        found = dict.fromkeys(name for names in space.candidates for name in names)
        self.activations = tuple(name for name in found if name != NONE)
        self._dead: list[frozenset[str]] = [frozenset()] * space.nodes
        edges, widest = space.shape
        nowhere = edges * widest  # where `prepare` puts a zero: an edge without the activation
        by_source = [edge for leaving in space.leaving_by_source() for edge in leaving]
        columns = [
            [
                edge * widest + space.candidates[edge].index(name) if name in space.candidates[edge] else nowhere
                for name in self.activations
            ]
            for edge in by_source
        ]
        self.register_buffer("columns", torch.tensor(columns), persistent=False)

    def skip_dead(self, mask: Tensor | None) -> None:
        """Stop computing the activations that `mask` [edges, candidates] sets to 0 on every edge of a node."""
        values = None if mask is None else mask.tolist()
        for source, leaving in enumerate(self.space.leaving_by_source()):
            living = {
                name
                for edge in leaving
                for column, name in enumerate(self.space.candidates[edge])
                if values is None or values[edge][column] != 0
            }
            self._dead[source] = frozenset(self.activations) - living

    def prepare(self, *extra: Any) -> list[_Leaving]:
        """For every source node the matrices and the mixing weights of its leaving edges.

        Args:
            extra: the mixing weights [edges, candidates].
        """
        (weights,) = extra
        matrices = torch.cat(list(self.nodes), dim=1)  # [H, nodes*2H]
        shares = torch.cat([weights.flatten(), weights.new_zeros(1)])[self.columns]  # [edges by source, activations]
        prepared = []
        for source, rows in enumerate(shares.split([len(leaving) for leaving in self.space.leaving_by_source()])):
            columns = rows.unsqueeze(1).unbind(2)  # [K, 1] each
            living = tuple(
                (name, column)
                for name, column in zip(self.activations, columns, strict=True)
                if name not in self._dead[source]
            )
            prepared.append(_Leaving(matrices[:, source * 2 * self.units :], living, rows.sum(1, keepdim=True)))
        return prepared

    def output(self, start: Tensor, mask: Tensor | None, prepared: list[_Leaving]) -> Tensor:
        """Mean of all intermediate nodes [B, H]."""
        state = self.norm(start)
        total = waiting = None  # `waiting`: what the nodes to come have received so far, [B, K, H]
        for leaving in prepared:
            gates, candidates = self.gates_and_candidates(state, mask, leaving.matrix)
            mixed = torch.zeros_like(gates) if not leaving.shares else None
            for name, share in leaving.shares:
                part = share * activation_function(name)(candidates)
                mixed = part if mixed is None else mixed + part
            assert mixed is not None
            received = torch.lerp(leaving.present * state.unsqueeze(1), mixed, gates.sigmoid())
            if waiting is not None:
                received = received + waiting
            node, waiting = received.split([1, received.shape[1] - 1], dim=1)
            state = self.norm(node.squeeze(1))
            total = state if total is None else total + state
        assert total is not None
        return total / len(prepared)


class RnnSupernet(Supernet):
    """The search network: words, the mixed cell, words.

    Args:
        space: cell type "recurrent".
        vocabulary: V, number of words.
        units: H (300 in the paper's search).
        dropouts: in training.
        relaxation: alphas -> mixing weights.

    Raises:
        UserError: if a size is below 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        vocabulary: int,
        units: int = 300,
        dropouts: Dropouts | None = None,
        relaxation: Relaxation = softmax,
    ) -> None:
        super().__init__(space, relaxation)
        for name, value in (("vocabulary", vocabulary), ("units", units)):
            if value < 1:
                raise UserError(f"{name}={value}: must be at least 1")
        dropouts = dropouts or Dropouts()
        self.network = SequenceNetwork(vocabulary, MixedCell(space.cells[CELL_TYPE], units, dropouts), dropouts)

    def _mask_changed(self, cell_type: str, values: Tensor | None) -> None:
        assert isinstance(self.network.cell, MixedCell)
        self.network.cell.skip_dead(values)

    def forward(self, tokens: Tensor, hidden: Tensor | None = None) -> SequenceOutput:
        """Predictions after each of `tokens` [T, B]; `hidden` [B, H] is the state before them, None = zero."""
        return self.network(tokens, hidden, self.mixing_weights()[CELL_TYPE])

    def loss(self, batch: tuple[Tensor, ...]) -> Outcome:
        """Cross-entropy, the cell's outputs [T, B, H] before dropout, and the next hidden state, detached.

        Args:
            batch: tokens [T, B], the words that follow them [T, B], and the hidden state [B, H] to
                start from, if it is not zero.
        """
        tokens, targets, *hidden = batch
        sequence = self(tokens, *hidden)
        return Outcome(word_loss(sequence.logits, targets), sequence.outputs, sequence.outputs[-1].detach())

    def continued(self, batch: tuple[Tensor, ...], carry: Tensor | None) -> tuple[Tensor, ...]:
        """The batch with the hidden state `carry` to start from."""
        return batch if carry is None else (*batch[:2], carry.to(batch[0].device))
