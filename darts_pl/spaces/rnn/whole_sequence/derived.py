"""The cell of a genotype over a whole sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_pl.spaces.rnn.whole_sequence.first_node import (
    Products,
    differentiated_again,
    first_node,
    first_node_backward,
    masked,
    products,
)
from darts_pl.spaces.rnn.whole_sequence.slopes import known_activation


class Readers(NamedTuple):
    """The K nodes that read one node.

    Args:
        source: position of the node that they read among the nodes of the sequence; None = node 0.
        first: position of the first of them; the others follow.
        activations: of each of them.
    """

    source: int | None
    first: int
    activations: tuple[str, ...]

    @property
    def places(self) -> slice:
        """The positions of all of them."""
        return slice(self.first, self.first + len(self.activations))


@dataclass(frozen=True)
class Plan:
    """What a sequence is run with beside its tensors.

    Args:
        readers: source by source; a source is among the readers of an earlier one.
        concat: positions of the nodes whose mean is the output.
        plain: the step-by-step form, a function of the tensors.
        products: how matrices are multiplied.
    """

    readers: Sequence[Readers]
    concat: Sequence[int]
    plain: Callable[..., Tensor]
    products: Products

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return sum(len(one.activations) for one in self.readers)

    def mean(self, nodes: Tensor) -> Tensor:
        """Of the concatenated nodes, from all nodes [B, N, H]."""
        if sorted(self.concat) == list(range(self.nodes)):
            return nodes.mean(1)
        return torch.stack([nodes[:, place] for place in self.concat]).mean(0)


def derived_sequence(
    readers: Sequence[Readers], concat: Sequence[int], plain: Callable[..., Tensor], *tensors: Tensor | None
) -> Tensor:
    """The hidden states [T, B, H] of a cell.

    Args:
        readers, concat, plain: see `Plan`.
        tensors: what the inputs add to node 0's pre-activations [T, B, 2H]; the hidden state before the first
            step [B, H]; the matrix of the hidden state [H, 2H]; the mask of what products read, [B, H] or
            None; for each of `readers` its matrices side by side [H, K*2H].
    """
    return _Derived.apply(Plan(readers, concat, plain, products()), *tensors)


class _Derived(torch.autograd.Function):
    """With c = sigmoid(gate), a node is ``s + c (f(d) - s)``; so the gradient g of a node reaches its gate
    as ``(node - s) * (g - g c)``."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor | None) -> Tensor:
        part, hidden, matrix, mask, *matrices = tensors
        assert part is not None
        assert hidden is not None
        assert matrix is not None
        steps, batch, units = part.shape[0], hidden.shape[0], hidden.shape[1]
        empty = hidden.new_empty
        outputs, firsts, starts = (empty(steps, batch, width) for width in (units, 2 * units, units))
        nodes = empty(steps, batch, plan.nodes, units)
        both = [empty(steps, batch, len(one.activations), 2, units) for one in plan.readers]
        values = torch.empty_like(nodes)
        matrix = plan.products.factor(matrix)
        factors = [plan.products.factor(one) for one in matrices if one is not None]
        with torch.autocast(hidden.device.type, enabled=False):
            for step in range(steps):
                first_node(part[step], hidden, mask, matrix, plan.products, firsts[step], starts[step])
                for one, factor, pairs in zip(plan.readers, factors, both, strict=True):
                    state = starts[step] if one.source is None else nodes[step, :, one.source]
                    pair = pairs[step]
                    plan.products.into(pair.view(batch, -1), masked(state, mask), factor)
                    value = values[step][:, one.places]
                    _values(one, pair, value)
                    torch.lerp(*(state.unsqueeze(1), value, pair[:, :, 0].sigmoid()), out=nodes[step][:, one.places])
                outputs[step] = hidden = plan.mean(nodes[step])
        ctx.plan = plan
        ctx.save_for_backward(*tensors, outputs, firsts, starts, nodes, values, *both)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (gradient,) = gradients
        plan, wanted = ctx.plan, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # a second derivative is asked for
            return None, *differentiated_again(plan.plain, ctx.saved_tensors[: len(wanted)], wanted, gradient)
        return None, *_backward(plan, wanted, gradient, ctx.saved_tensors)


def _values(readers: Readers, pair: Tensor, out: Tensor) -> None:
    """Write the activations of the candidates to `out` [B, K, H]."""
    for name, value, candidate in zip(readers.activations, out.unbind(1), pair[:, :, 1].unbind(1), strict=True):
        known_activation(name).write(candidate, value)


def _backward(plan: Plan, wanted: Sequence[bool], gradient: Tensor, saved: Sequence[Tensor]) -> list[Tensor | None]:
    part, hidden, matrix, mask, *rest = saved
    count = len(plan.readers)
    matrices, (outputs, firsts, starts, nodes, values), both = rest[:count], rest[count : count + 5], rest[count + 5 :]
    steps, batch, _ = outputs.shape
    transposed = plan.products.factor(matrix).t()
    factors = [plan.products.factor(one).t() for one in matrices]
    of_both = [torch.empty_like(one) for one in both]
    of_firsts = torch.empty_like(firsts)
    concat = sorted(plan.concat) != list(range(plan.nodes))
    carried: Tensor | None = None
    for step in reversed(range(steps)):
        share = (
            gradient[step] / len(plan.concat) if carried is None else gradient[step].add(carried).div_(len(plan.concat))
        )
        if concat:
            of_nodes = torch.zeros_like(nodes[0])
            for place in plan.concat:
                of_nodes[:, place] += share
        else:
            of_nodes = torch.empty_like(nodes[0]).copy_(share.unsqueeze(1))
        of_start = torch.zeros_like(share)
        for index in reversed(range(count)):
            one, pair, of_pair = plan.readers[index], both[index][step], of_both[index][step]
            state = starts[step] if one.source is None else nodes[step, :, one.source]
            received = of_nodes[:, one.places]
            through = received * pair[:, :, 0].sigmoid()
            kept = received - through
            torch.mul(nodes[step][:, one.places] - state.unsqueeze(1), kept, out=of_pair[:, :, 0])
            _slopes(one, through, pair, values[step][:, one.places], of_pair)
            of_state = of_start if one.source is None else of_nodes[:, one.source]
            of_state += kept.sum(1) if len(one.activations) > 1 else kept[:, 0]
            of_product = plan.products.product(of_pair.view(batch, -1), factors[index])
            of_state.add_(of_product) if mask is None else of_state.addcmul_(of_product, mask)
        before = hidden if step == 0 else outputs[step - 1]
        carried = first_node_backward(
            *(of_start, firsts[step], before, starts[step], mask, transposed, plan.products, of_firsts[step])
        )
    before = torch.cat([hidden.unsqueeze(0), outputs[:-1]])
    found = [of_firsts.to(part.dtype), carried, plan.products.over_steps(before, mask, of_firsts), None]
    for index, one in enumerate(plan.readers):
        states = starts if one.source is None else nodes[:, :, one.source]
        gradients = of_both[index].flatten(2)
        found.append(plan.products.over_steps(states, mask, gradients) if wanted[4 + index] else None)
    return found


def _slopes(readers: Readers, through: Tensor, pair: Tensor, values: Tensor, of_pair: Tensor) -> None:
    """Write the gradient of the candidates to `of_pair` [B, K, 2, H]."""
    for place, name in enumerate(readers.activations):
        known_activation(name).write_slope(through[:, place], pair[:, place, 1], values[:, place], of_pair[:, place, 1])
