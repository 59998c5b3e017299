"""A recurrent controller that samples genotypes decision by decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from darts_pl.strategies.encoding import Encoding, Integers


class Sample(NamedTuple):
    """What the controller sampled, or was given.

    Args:
        integers: [genotypes, decisions].
        log_probability: [genotypes], summed over decisions.
        entropy: [genotypes], of the distributions that were sampled from, summed over decisions.
    """

    integers: Tensor
    log_probability: Tensor
    entropy: Tensor


class Logits(NamedTuple):
    """How outputs of the controller become logits.

    Args:
        attention: sources are scored by attention over the states of the earlier nodes; otherwise by a linear layer.
        temperature: the outputs are divided by it.
        tanh_constant: then replaced by constant * tanh(output), where it is given.
        operation_reduce: the constant of operations is smaller by this factor.
    """

    attention: bool
    temperature: float = 1.0
    tanh_constant: float | None = None
    operation_reduce: float = 1.0


class Controller(nn.Module):
    """An LSTM that takes the decisions of a genotype one after the other.

    The input of a step is an embedding of the choice before it. With attention the score of a set of
    sources is the sum of its sources' scores ``v tanh(W1 state_of_source + W2 state)`` (Pham et al.,
    "Efficient neural architecture search via parameter sharing", ICML 2018, section 2.1), and the input
    of the step after it is the mean state of the chosen sources.

    Args:
        encoding: the decisions of the space.
        hidden: size of embedding and state.
        logits: how logits are computed.
        init: weights start uniformly between -init and init.
        generator: draws them.
    """

    def __init__(self, encoding: Encoding, hidden: int, logits: Logits, init: float, generator: torch.Generator):
        super().__init__()
        self.encoding, self.hidden, self.logits = encoding, hidden, logits
        operations = dict.fromkeys(name for node in encoding.nodes for name in node.operations)
        self.operation_numbers = {name: index for index, name in enumerate(operations)}
        sources = dict.fromkeys(one for node in encoding.nodes if node.decides_inputs for one in node.inputs)
        self.source_numbers = {one: index for index, one in enumerate(sources)}
        inputs = encoding.nodes[0].target
        self.lstm = nn.LSTMCell(hidden, hidden)
        self.start = nn.Parameter(torch.empty(1, hidden))
        self.input_states = nn.Parameter(torch.empty(inputs, hidden))
        self.operation_embedding = nn.Embedding(len(operations), hidden)
        self.operation_head = nn.Linear(hidden, len(operations))
        if logits.attention:
            self.source_state = nn.Linear(hidden, hidden, bias=False)
            self.query = nn.Linear(hidden, hidden, bias=False)
            self.attention = nn.Linear(hidden, 1, bias=False)
        elif sources:
            self.source_embedding = nn.Embedding(len(sources), hidden)
            self.source_head = nn.Linear(hidden, len(sources))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-init, init, generator=generator)

    def sample(self, count: int, generator: torch.Generator) -> list[Integers]:
        """`count` genotypes drawn from the controller."""
        with torch.no_grad():
            found = self._run(count, None, generator).integers.tolist()
        return [tuple(one) for one in found]

    def score(self, genotypes: Sequence[Integers]) -> Sample:
        """Log-probability and entropy of given genotypes, with gradients."""
        return self._run(len(genotypes), torch.tensor(genotypes), None)

    def _run(self, count: int, given: Tensor | None, generator: torch.Generator | None) -> Sample:
        state = self.start.new_zeros(count, self.hidden), self.start.new_zeros(count, self.hidden)
        step_input = self.start.expand(count, -1)
        taken: list[Tensor] = []
        log_probability, entropy = self.start.new_zeros(count), self.start.new_zeros(count)
        states: list[Tensor] = []  # of the nodes of the current cell
        for index, decision in enumerate(self.encoding.decisions):
            node = self.encoding.node_of(index)
            if index == node.first and (not index or self.encoding.node_of(index - 1).cell != node.cell):
                states = [one.expand(count, -1) for one in self.input_states]
            state = self.lstm(step_input, state)
            scores = self._sources(index, state[0], states) if decision.is_inputs else self._operations(index, state[0])
            scores = scores.masked_fill(~self._allowed(index, taken, count), -torch.inf)
            log_probabilities = scores.log_softmax(1)
            if given is None:
                choice = torch.multinomial(log_probabilities.exp(), 1, generator=generator).squeeze(1)
            else:
                choice = given[:, index]
            taken.append(choice)
            log_probability = log_probability + log_probabilities.gather(1, choice[:, None]).squeeze(1)
            terms = log_probabilities.exp() * log_probabilities.masked_fill(scores == -torch.inf, 0.0)
            entropy = entropy - terms.sum(1)
            step_input = self._embed(index, choice, states)
            if index == node.stop - 1:
                states.append(state[0])
        return Sample(torch.stack(taken, 1), log_probability, entropy)

    def _allowed(self, index: int, taken: list[Tensor], count: int) -> Tensor:
        """Which choices each genotype has: [genotypes, choices]."""
        allowed = torch.zeros(count, len(self.encoding.decisions[index].choices), dtype=torch.bool)
        prefixes = torch.stack(taken, 1).tolist() if taken else [[] for _ in range(count)]
        for row, prefix in enumerate(prefixes):
            allowed[row, list(self.encoding.allowed(prefix))] = True
        return allowed

    def _limit(self, scores: Tensor, reduce: float = 1.0) -> Tensor:
        scores = scores / self.logits.temperature
        if self.logits.tanh_constant is None:
            return scores
        return self.logits.tanh_constant / reduce * torch.tanh(scores)

    def _operations(self, index: int, state: Tensor) -> Tensor:
        numbers = [self.operation_numbers[str(name)] for name in self.encoding.decisions[index].choices]
        return self._limit(self.operation_head(state)[:, numbers], self.logits.operation_reduce)

    def _sources(self, index: int, state: Tensor, states: list[Tensor]) -> Tensor:
        choices = self.encoding.node_of(index).inputs
        if not self.logits.attention:
            return self._limit(self.source_head(state)[:, [self.source_numbers[one] for one in choices]])
        keys = self.source_state(torch.stack(states, 1))  # [genotypes, earlier nodes, hidden]
        scores = self._limit(self.attention(torch.tanh(keys + self.query(state)[:, None])).squeeze(2))
        return torch.stack([scores[:, list(one)].sum(1) for one in choices], 1)

    def _embed(self, index: int, choice: Tensor, states: list[Tensor]) -> Tensor:
        decision, node = self.encoding.decisions[index], self.encoding.node_of(index)
        if not decision.is_inputs:
            numbers = torch.tensor([self.operation_numbers[str(name)] for name in decision.choices])
            return self.operation_embedding(numbers[choice])
        if not self.logits.attention:
            return self.source_embedding(torch.tensor([self.source_numbers[one] for one in node.inputs])[choice])
        sources = torch.tensor(node.inputs)[choice]  # [genotypes, kept edges]
        chosen = sources[:, :, None].expand(-1, -1, self.hidden)
        return torch.stack(states, 1).gather(1, chosen).mean(1)
