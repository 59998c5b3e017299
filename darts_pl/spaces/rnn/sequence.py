"""What every recurrent network is made of: tied words, dropout masks, a gated cell run over a sequence.

Sequences lie as [T, B]: T steps of B streams side by side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.spaces.compiled import Compilable, compiled

#: Weights start uniform in [-0.04, 0.04] (the authors' code, rnn/model.py).
INIT_RANGE = 0.04


@dataclass(frozen=True)
class Dropouts:
    """Probabilities, by the names of the authors' code (paper sections A.1.2 and A.2.2).

    Args:
        dropout: of the cell's outputs before the decoder, one mask per sequence.
        dropouth: of the hidden state and of every node, wherever a matrix product reads them; one
            mask per sequence.
        dropoutx: of the cell's inputs where the matrix product reads them, one mask per sequence.
        dropouti: of the embeddings, one mask per sequence.
        dropoute: of whole words, that is of rows of the embedding matrix.

    Raises:
        UserError: if one is not in [0, 1).
    """

    dropout: float = 0.0
    dropouth: float = 0.0
    dropoutx: float = 0.0
    dropouti: float = 0.0
    dropoute: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < 1:
                raise UserError(f"{name}={value}: must be 0 or more, below 1")

    @classmethod
    def of(cls, settings: Any) -> Dropouts:
        """Those of a recurrent search or of the training of a language model."""
        return cls(
            dropout=settings.dropout,
            dropouth=settings.dropout_hidden,
            dropoutx=settings.dropout_input,
            dropouti=settings.dropout_embedding,
            dropoute=settings.dropout_word,
        )


def dropout_mask(like: Tensor, shape: tuple[int, ...], probability: float, training: bool) -> Tensor | None:
    """0 with `probability`, else 1 / (1 - probability); None where nothing is dropped.

    Args:
        like: gives device and dtype.
        shape: of the mask.
        probability: in [0, 1).
        training: whether anything is dropped at all.
    """
    if not training or probability == 0:
        return None
    keep = 1 - probability
    return like.new_empty(shape).bernoulli_(keep).div_(keep)


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


class TiedWords(nn.Module):
    """Embedding and decoder that share one matrix.

    Args:
        vocabulary: V, number of words.
        units: H, length of a word's vector.
    """

    def __init__(self, vocabulary: int, units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, units).uniform_(-INIT_RANGE, INIT_RANGE))
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def embed(self, tokens: Tensor, dropoute: float) -> Tensor:
        """Vectors [T, B, H] of tokens [T, B]; in training some words are dropped wherever they stand."""
        vectors = nn.functional.embedding(tokens, self.weight)
        kept = dropout_mask(self.weight, (len(self.weight), 1), dropoute, self.training)
        return vectors if kept is None else vectors * kept[tokens]

    def forward(self, outputs: Tensor) -> Tensor:
        """Logits [T, B, V] of outputs [T, B, H]."""
        return nn.functional.linear(outputs, self.weight, self.bias)


class GatedCell(Compilable, ABC):
    """A recurrent cell whose node 0 and intermediate nodes are gated (paper section A.1.2).

    Node 0 is ``h + c * (tanh(d) - h)`` with ``[sigmoid^-1(c), d] = [x, h] @ first``. Node i has one
    matrix [H, 2H], whose first half makes the gate and whose second half the candidate.

    Args:
        units: H, of inputs, hidden state and nodes.
        nodes: number of intermediate nodes.
        dropouth, dropoutx: see `Dropouts`.
    """

    def __init__(self, units: int, nodes: int, dropouth: float = 0.0, dropoutx: float = 0.0) -> None:
        super().__init__()
        self.units = units
        self.dropouth, self.dropoutx = dropouth, dropoutx
        self.first = nn.Parameter(torch.empty(2 * units, 2 * units).uniform_(-INIT_RANGE, INIT_RANGE))
        self.nodes = nn.ParameterList(
            nn.Parameter(torch.empty(units, 2 * units).uniform_(-INIT_RANGE, INIT_RANGE)) for _ in range(nodes)
        )

    def forward(self, inputs: Tensor, hidden: Tensor, *extra: Any) -> Tensor:
        """The hidden state after every step, [T, B, H].

        Args:
            inputs: [T, B, H].
            hidden: state before the first step [B, H].
            extra: passed on to `prepare`.
        """
        input_mask = dropout_mask(inputs, tuple(inputs.shape[1:]), self.dropoutx, self.training)
        hidden_mask = dropout_mask(inputs, tuple(hidden.shape), self.dropouth, self.training)
        for_inputs, for_hidden = self.first.split(self.units)
        from_inputs = _masked(inputs, input_mask) @ for_inputs  # the part that needs no h: once for all steps
        return self.run(from_inputs, hidden, for_hidden, hidden_mask, *extra)

    def run(self, from_inputs: Tensor, hidden: Tensor, for_hidden: Tensor, mask: Tensor | None, *extra: Any) -> Tensor:
        """The hidden states [T, B, H]; a cell with a gradient of its own for a whole sequence overrides it.

        Args:
            from_inputs: what the inputs add to node 0's pre-activations [T, B, 2H].
            hidden: state before the first step [B, H].
            for_hidden: the matrix of the hidden state [H, 2H].
            mask: of every state that a matrix product reads [B, H]; None masks nothing.
            extra: passed on to `prepare`.
        """
        return self.step_by_step(from_inputs, hidden, for_hidden, mask, self.prepare(*extra))

    def step_by_step(
        self, from_inputs: Tensor, hidden: Tensor, for_hidden: Tensor, mask: Tensor | None, prepared: Any
    ) -> Tensor:
        """The hidden states [T, B, H], each step differentiated on its own.

        Args:
            from_inputs, hidden, for_hidden, mask: see `run`.
            prepared: what `prepare` returned.
        """
        step = type(self).step
        if self.runs_compiled():
            step = _compiled_step
            # Whether it needs a gradient would else tell the first step from the others: two forms instead of one.
            hidden = hidden if hidden.requires_grad else hidden.detach().requires_grad_()
        outputs = []
        for part in from_inputs.unbind(0):
            hidden = step(self, part, hidden, for_hidden, mask, prepared)
            outputs.append(hidden)
        return torch.stack(outputs)

    def step(self, part: Tensor, hidden: Tensor, for_hidden: Tensor, mask: Tensor | None, prepared: Any) -> Tensor:
        """The hidden state [B, H] after one step.

        Args:
            part: what the input adds to node 0's pre-activations [B, 2H].
            hidden: state before the step [B, H].
            for_hidden, mask, prepared: see `step_by_step`.
        """
        # Under autocast a product has another dtype.
        both = torch.addmm(part, _masked(hidden, mask), for_hidden).to(hidden.dtype)
        gate, candidate = both.chunk(2, dim=1)
        start = torch.lerp(hidden, candidate.tanh(), gate.sigmoid())
        return self.output(start, mask, prepared)

    @abstractmethod
    def prepare(self, *extra: Any) -> Any:
        """What all steps of a sequence share."""

    @abstractmethod
    def output(self, start: Tensor, mask: Tensor | None, prepared: Any) -> Tensor:
        """The new hidden state [B, H]: mean of the concatenated nodes.

        Args:
            start: node 0 [B, H].
            mask: for every state that a matrix product reads [B, H]; None masks nothing.
            prepared: what `prepare` returned.
        """

    def gates_and_candidates(self, state: Tensor, mask: Tensor | None, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """For the K nodes that read one state: pre-activations of gate and candidate, each [B, K, H].

        Args:
            state: [B, H].
            mask: [B, H] or None.
            matrix: the K nodes' matrices side by side [H, K*2H].
        """
        both = (_masked(state, mask) @ matrix).to(state.dtype)  # another one under autocast
        gate, candidate = both.view(state.shape[0], -1, 2, self.units).unbind(2)
        return gate, candidate


@compiled
def _compiled_step(
    cell: GatedCell, part: Tensor, hidden: Tensor, for_hidden: Tensor, mask: Tensor | None, prepared: Any
) -> Tensor:
    """`GatedCell.step`."""
    return cell.step(part, hidden, for_hidden, mask, prepared)


class SequenceOutput(NamedTuple):
    """What a recurrent network gives: `logits` [T, B, V], the cell's `outputs` [T, B, H] and the
    same after dropout, `dropped`. ``outputs[-1]`` is the next hidden state."""

    logits: Tensor
    outputs: Tensor
    dropped: Tensor


class SequenceNetwork(nn.Module):
    """Words -> embedding -> cell -> words.

    Args:
        vocabulary: V, number of words.
        cell: reads embeddings [T, B, H].
        dropouts: those around the cell; the cell has its own.
    """

    def __init__(self, vocabulary: int, cell: GatedCell, dropouts: Dropouts) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.words = TiedWords(vocabulary, cell.units)
        self.cell = cell
        self.dropouts = dropouts

    def forward(self, tokens: Tensor, hidden: Tensor | None = None, *extra: Any) -> SequenceOutput:
        """Predictions of the word after each of `tokens`.

        Args:
            tokens: int64 [T, B], values in [0, V).
            hidden: state before the first token [B, H]; None = zero.
            extra: passed on to the cell.
        """
        vectors = self.words.embed(tokens, self.dropouts.dropoute)
        vectors = self._locked(vectors, self.dropouts.dropouti)
        if hidden is None:
            hidden = vectors.new_zeros(vectors.shape[1:])
        outputs = self.cell(vectors, hidden, *extra)
        dropped = self._locked(outputs, self.dropouts.dropout)
        return SequenceOutput(self.words(dropped), outputs, dropped)

    def _locked(self, x: Tensor, probability: float) -> Tensor:
        """x [T, B, H] with one mask for all T steps."""
        return _masked(x, dropout_mask(x, (1, *x.shape[1:]), probability, self.training))
