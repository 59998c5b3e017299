"""Recurrent networks in the form of the published code: one step at a time, one matrix product per node.

Names in the state dict are the authors'. What is drawn, is drawn in the same order as in the library, so
that both forms have the same dropout masks from the same seed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from darts_pl.interop import export_recurrent
from darts_pl.spaces import LanguageModel, RnnSupernet
from darts_pl.spaces.rnn import Dropouts

#: In the order of the alphas' columns; the first is "none".
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}
NODES = 8

Batch = tuple[Tensor, Tensor]


def mask(like: Tensor, *shape: int, dropped: float) -> Tensor:
    """0 with probability `dropped`, else 1 / (1 - dropped)."""
    return like.new_empty(shape).bernoulli_(1 - dropped) / (1 - dropped)


class StepwiseCell(nn.Module, ABC):
    """A gated cell that is run word by word."""

    def __init__(self, units: int, nodes: int, dropouts: Dropouts) -> None:
        super().__init__()
        self.units, self.dropouts = units, dropouts
        self._W0 = nn.Parameter(torch.empty(2 * units, 2 * units))
        self._Ws = nn.ParameterList(nn.Parameter(torch.empty(units, 2 * units)) for _ in range(nodes))

    def forward(self, inputs: Tensor, hidden: Tensor) -> Tensor:
        _, batch, units = inputs.shape
        input_mask = mask(inputs, batch, units, dropped=self.dropouts.dropoutx)
        hidden_mask = mask(inputs, batch, units, dropped=self.dropouts.dropouth)
        outputs = []
        for word in inputs:
            hidden = self.step(word, hidden, input_mask, hidden_mask)
            outputs.append(hidden)
        return torch.stack(outputs)

    def first_node(self, word: Tensor, hidden: Tensor, input_mask: Tensor, hidden_mask: Tensor) -> Tensor:
        both = torch.cat([word * input_mask, hidden * hidden_mask], dim=-1).mm(self._W0)
        gate, candidate = torch.split(both, self.units, dim=-1)
        gate, candidate = gate.sigmoid(), candidate.tanh()
        return hidden + gate * (candidate - hidden)

    @abstractmethod
    def step(self, word: Tensor, hidden: Tensor, input_mask: Tensor, hidden_mask: Tensor) -> Tensor:
        """The next hidden state [batch, units]."""


class SearchedCell(StepwiseCell):
    """Every node reads the stack of all states before it; every activation is computed on the whole stack."""

    def __init__(self, units: int, dropouts: Dropouts) -> None:
        super().__init__(units, NODES, dropouts)
        self.bn = nn.BatchNorm1d(units, affine=False)
        self.alphas: Tensor | None = None

    def step(self, word: Tensor, hidden: Tensor, input_mask: Tensor, hidden_mask: Tensor) -> Tensor:
        assert self.alphas is not None
        mixing = torch.softmax(self.alphas, dim=-1)
        start = self.bn(self.first_node(word, hidden, input_mask, hidden_mask))
        states, first = start.unsqueeze(0), 0
        for matrix in self._Ws:
            count = len(states)
            masked = states * hidden_mask.unsqueeze(0)
            both = masked.view(-1, self.units).mm(matrix).view(count, -1, 2 * self.units)
            gate, candidate = torch.split(both, self.units, dim=-1)
            gate = gate.sigmoid()
            node = torch.zeros_like(start)
            for column, function in enumerate(ACTIVATIONS.values(), start=1):
                moved = states + gate * (function(candidate) - states)
                weight = mixing[first : first + count, column].unsqueeze(-1).unsqueeze(-1)
                node += torch.sum(weight * moved, dim=0)
            states = torch.cat([states, self.bn(node).unsqueeze(0)], dim=0)
            first += count
        return torch.mean(states[-NODES:], dim=0)


class FinalCell(StepwiseCell):
    """One product per node.

    Args:
        pairs: of each node its activation and the node that it reads.
        concat: the nodes that are averaged.
    """

    def __init__(self, units: int, dropouts: Dropouts, pairs: Sequence[tuple[str, int]], concat: Sequence[int]) -> None:
        super().__init__(units, len(pairs), dropouts)
        self.pairs, self.concat = pairs, concat

    def step(self, word: Tensor, hidden: Tensor, input_mask: Tensor, hidden_mask: Tensor) -> Tensor:
        states = [self.first_node(word, hidden, input_mask, hidden_mask)]
        for (name, source), matrix in zip(self.pairs, self._Ws, strict=True):
            state = states[source]
            gate, candidate = torch.split((state * hidden_mask).mm(matrix), self.units, dim=-1)
            gate, candidate = gate.sigmoid(), ACTIVATIONS[name](candidate)
            states.append(state + gate * (candidate - state))
        return torch.mean(torch.stack([states[node] for node in self.concat], dim=-1), dim=-1)


class WordNetwork(nn.Module):
    """Words, a cell, words; encoder and decoder share their matrix.

    Args:
        vocabulary: V.
        cell: made for as many units as `units`.
        dropouts: all of them.
        slowness: weight of the mean squared difference of successive outputs in the weights' loss.
    """

    def __init__(self, vocabulary: int, cell: StepwiseCell, dropouts: Dropouts, slowness: float) -> None:
        super().__init__()
        self.encoder = nn.Embedding(vocabulary, cell.units)
        self.rnns = nn.ModuleList([cell])
        self.decoder = nn.Linear(cell.units, vocabulary)
        self.decoder.weight = self.encoder.weight
        self.vocabulary, self.dropouts, self.slowness = vocabulary, dropouts, slowness

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities [T, B, V] and the cell's outputs [T, B, H], from the zero state."""
        vectors = nn.functional.embedding(tokens, self._kept_words())
        vectors = self._locked(vectors, self.dropouts.dropouti)
        outputs = self.rnns[0](vectors, vectors.new_zeros(vectors.shape[1:]))
        dropped = self._locked(outputs, self.dropouts.dropout)
        logits = self.decoder(dropped.view(-1, dropped.shape[-1]))
        return nn.functional.log_softmax(logits, dim=-1).view(*tokens.shape, -1), outputs

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the alphas descend, and what the weights descend."""
        tokens, targets = batch
        predictions, outputs = self(tokens)
        loss = nn.functional.nll_loss(predictions.view(-1, self.vocabulary), targets.reshape(-1))
        return loss, loss + self.slowness * (outputs[1:] - outputs[:-1]).pow(2).mean()

    def loss(self, batch: Batch) -> Tensor:
        return self.losses(batch)[0]

    def weight_loss(self, batch: Batch) -> Tensor:
        return self.losses(batch)[1]

    def _kept_words(self) -> Tensor:
        if not self.dropouts.dropoute:
            return self.encoder.weight
        kept = mask(self.encoder.weight, self.vocabulary, 1, dropped=self.dropouts.dropoute)
        return kept.expand_as(self.encoder.weight) * self.encoder.weight

    @staticmethod
    def _locked(x: Tensor, dropped: float) -> Tensor:
        return x * mask(x, 1, *x.shape[1:], dropped=dropped).expand_as(x)


class RecurrentSupernet(WordNetwork):
    """The search network."""

    def __init__(self, vocabulary: int, units: int, dropouts: Dropouts, slowness: float) -> None:
        super().__init__(vocabulary, SearchedCell(units, dropouts), dropouts, slowness)

    @property
    def alphas(self) -> list[Tensor]:
        return [self.rnns[0].alphas]


def published_recurrent(supernet: RnnSupernet, dropouts: Dropouts) -> RecurrentSupernet:
    """The published form of a recurrent supernet over `ACTIVATIONS`, with its weights and alphas."""
    words = supernet.network.words
    network = RecurrentSupernet(words.weight.shape[0], words.weight.shape[1], dropouts, supernet.slowness)
    alphas = supernet.alphas["recurrent"].detach().clone()
    network = network.to(alphas.device, alphas.dtype)
    load(network, supernet)
    network.rnns[0].alphas = alphas.requires_grad_()
    return network


def published_language_model(ours: LanguageModel, dropouts: Dropouts, slowness: float) -> WordNetwork:
    """The published form of a language model, with its weights."""
    vocabulary, units = ours.words.weight.shape
    readers = {
        reader.node: (reader.activation, source) for source, nodes in ours.cell.readers.items() for reader in nodes
    }
    pairs = [readers[node] for node in sorted(readers)]
    network = WordNetwork(vocabulary, FinalCell(units, dropouts, pairs, ours.cell.concat), dropouts, slowness)
    network = network.to(ours.words.weight.device, ours.words.weight.dtype)
    load(network, ours)
    return network


def load(network: nn.Module, ours: nn.Module) -> None:
    """Copy our tensors into the published form."""
    keys = network.load_state_dict(export_recurrent(ours.state_dict()), strict=False)
    assert not keys.unexpected_keys, keys
    assert all(key.endswith("num_batches_tracked") for key in keys.missing_keys), keys
