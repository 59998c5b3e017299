"""The recurrent supernet (paper sections 2.1 and A.1.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.ops import NONE, activation_function
from darts_pl.spaces.base import Parts
from darts_pl.spaces.mixing import Alive, Mixing
from darts_pl.spaces.rnn.losses import slowness, word_loss
from darts_pl.spaces.rnn.sequence import Dropouts, GatedCell, SequenceNetwork, SequenceOutput
from darts_pl.spaces.rnn.whole_sequence import mixed_sequence, slope_is_known
from darts_pl.spaces.space import CellSpace, SearchSpace
from darts_pl.spaces.supernet import Outcome, Supernet

CELL_TYPE = "recurrent"


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
    activations: tuple[tuple[str, Tensor], ...]  # living activations with their mixing weights [K, 1]
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

    def _living(self, alive: Alive | None) -> list[frozenset[str]]:
        """For every source node the activations that are computed on one of its leaving edges or more."""
        if alive is None:
            return [frozenset(self.activations)] * self.space.nodes
        return [
            frozenset(
                name
                for edge in leaving
                for column, name in enumerate(self.space.candidates[edge])
                if alive[edge][column]
            )
            for leaving in self.space.leaving_by_source()
        ]

    def prepare(self, *extra: Any) -> list[_Leaving]:
        """For every source node the matrices and the mixing weights of its leaving edges.

        Args:
            extra: the mixing of the cell.
        """
        (mixing,) = extra
        return self._leaving(self._matrices(), self._by_source(mixing), self._living(mixing.alive))

    def _matrices(self) -> Tensor:
        """Those of all nodes side by side [H, nodes*2H]."""
        return torch.cat(list(self.nodes), dim=1)

    def _by_source(self, mixing: Mixing) -> Tensor:
        """The mixing weights [edges by source, activations]."""
        weights, edges, alive = mixing
        weights = weights if edges is None else weights * edges.unsqueeze(1)
        if alive is not None:  # one that is dead on this edge and alive on another is computed: cut it here
            weights = weights.where(torch.tensor(alive, device=weights.device), 0.0)
        return torch.cat([weights.flatten(), weights.new_zeros(1)])[self.columns]

    def _leaving(self, matrices: Tensor, mixing: Tensor, living: Sequence[frozenset[str]]) -> list[_Leaving]:
        prepared = []
        for source, rows in enumerate(mixing.split([len(leaving) for leaving in self.space.leaving_by_source()])):
            columns = rows.unsqueeze(1).unbind(2)  # [K, 1] each
            activations = tuple(
                (name, column) for name, column in zip(self.activations, columns, strict=True) if name in living[source]
            )
            prepared.append(_Leaving(matrices[:, source * 2 * self.units :], activations, rows.sum(1, keepdim=True)))
        return prepared

    def run(self, from_inputs: Tensor, hidden: Tensor, for_hidden: Tensor, mask: Tensor | None, *extra: Any) -> Tensor:
        (mixing,) = extra
        in_steps = not (self.training and torch.is_grad_enabled() and all(map(slope_is_known, self.activations)))
        if in_steps or self.runs_compiled():
            return super().run(from_inputs, hidden, for_hidden, mask, mixing)
        living = self._living(mixing.alive)
        columns = [
            [(column, name) for column, name in enumerate(self.activations) if name in names] for names in living
        ]
        running = self.norm.running_mean, self.norm.running_var

        def plain(
            part: Tensor, hidden: Tensor, matrix: Tensor, matrices: Tensor, by_source: Tensor, mask: Any
        ) -> Tensor:
            # The sequence has updated the statistics already.
            self.norm.running_mean, self.norm.running_var = (values.clone() for values in running)
            try:
                return self.step_by_step(part, hidden, matrix, mask, self._leaving(matrices, by_source, living))
            finally:
                self.norm.running_mean, self.norm.running_var = running

        return mixed_sequence(
            *(columns, running, plain, from_inputs, hidden, for_hidden),
            *(self._matrices(), self._by_source(mixing), mask),
        )

    def output(self, start: Tensor, mask: Tensor | None, prepared: list[_Leaving]) -> Tensor:
        """Mean of all intermediate nodes [B, H]."""
        state = self.norm(start)
        total = waiting = None  # `waiting`: what the nodes to come have received so far, [B, K, H]
        for leaving in prepared:
            gates, candidates = self.gates_and_candidates(state, mask, leaving.matrix)
            mixed = torch.zeros_like(gates) if not leaving.activations else None
            for name, weight in leaving.activations:
                part = weight * activation_function(name)(candidates)
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
        parts: the relaxation is read; None = softmax.
        alpha_scale: standard deviation of the initial architecture parameters.
        bptt: T of a full batch of the train split: one of T' steps is learned from with the learning
            rate times T' / T (the authors' code); None = every batch with the same rate.
        slowness: weight of the mean squared difference of successive outputs in the loss that the
            weights descend (not in any loss of the alpha gradient).

    Raises:
        UserError: if a size is below 1.
    """

    clip_virtual = True  # the authors clip in recurrent search only

    def __init__(
        self,
        space: SearchSpace,
        *,
        vocabulary: int,
        units: int,
        dropouts: Dropouts | None = None,
        parts: Parts | None = None,
        alpha_scale: float = 0.0,
        bptt: int | None = None,
        slowness: float = 0.0,
    ) -> None:
        parts = parts or Parts()
        super().__init__(space, parts.relaxation, alpha_scale=alpha_scale)
        for name, value in (("vocabulary", vocabulary), ("units", units)):
            if value < 1:
                raise UserError(f"{name}={value}: must be at least 1")
        self.bptt, self.slowness = bptt, slowness
        dropouts = dropouts or Dropouts()
        self.network = SequenceNetwork(vocabulary, MixedCell(space.cells[CELL_TYPE], units, dropouts), dropouts)

    def forward(self, tokens: Tensor, hidden: Tensor | None, mixing: Mapping[str, Mixing]) -> SequenceOutput:
        """Predictions after each of `tokens` [T, B].

        Args:
            tokens: int64 [T, B].
            hidden: state before them [B, H]; None = zero.
            mixing: by cell type.
        """
        return self.network(tokens, hidden, mixing[CELL_TYPE])

    def loss(self, batch: tuple[Tensor, ...], mixing: Mapping[str, Mixing]) -> Outcome:
        """Cross-entropy, the cell's outputs [T, B, H] before dropout, and the next hidden state, detached.

        Args:
            batch: tokens [T, B], the words that follow them [T, B], and the hidden state [B, H] to
                start from, if it is not zero.
            mixing: by cell type.
        """
        tokens, targets, *hidden = batch
        sequence = self(tokens, hidden[0] if hidden else None, mixing)
        return Outcome(word_loss(sequence.logits, targets), sequence.outputs, sequence.outputs[-1].detach())

    def weight_loss(self, outcome: Outcome) -> Tensor:
        """The loss and the slowness term."""
        return outcome.loss + self.slowness * slowness(outcome.outputs) if self.slowness else outcome.loss

    def lr_factor(self, train: tuple[Tensor, ...]) -> float:
        """Steps of the batch over `bptt`."""
        return 1.0 if self.bptt is None else len(train[0]) / self.bptt

    def with_carry(self, batch: tuple[Tensor, ...], carry: Tensor | None) -> tuple[Tensor, ...]:
        """The batch with the hidden state `carry` to start from."""
        return batch if carry is None else (*batch[:2], carry.to(batch[0].device))
