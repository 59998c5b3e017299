"""The mixed cell of a search over a whole sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from darts_pl.spaces.rnn.whole_sequence.edges import TANH, edges, edges_backward
from darts_pl.spaces.rnn.whole_sequence.first_node import (
    Products,
    differentiated_again,
    first_node,
    first_node_backward,
    masked,
    products,
)

_aten = torch.ops.aten
#: Those of `torch.nn.functional.batch_norm`.
MOMENTUM, EPS = 0.1, 1e-5


@dataclass(frozen=True)
class Plan:
    """What a sequence is run with beside its tensors.

    Args:
        living: by source node the activations that are computed, as (column of the mixing, name).
        running: mean and variance of the nodes' BatchNorm, which the steps update.
        plain: the step-by-step form, a function of the differentiable arguments and the mask.
        products: how matrices are multiplied.
    """

    living: Sequence[Sequence[tuple[int, str]]]
    running: tuple[Tensor, Tensor]
    plain: Callable[..., Tensor]
    products: Products

    @property
    def by_name(self) -> Iterator[tuple[int, set[str]]]:
        """By source node the names of the activations that are computed."""
        return enumerate({name for _, name in living} for living in self.living)


def mixed_sequence(
    living: Sequence[Sequence[tuple[int, str]]],
    running: tuple[Tensor, Tensor],
    plain: Callable[..., Tensor],
    *tensors: Tensor | None,
) -> Tensor:
    """The hidden states [T, B, H] of a mixed cell with N nodes in training.

    Args:
        living, running, plain: see `Plan`.
        tensors: what the inputs add to node 0's pre-activations [T, B, 2H]; the hidden state before the first
            step [B, H]; the matrix of the hidden state [H, 2H]; those of the nodes side by side [H, N*2H]; the
            mixing weights of the edges by source [edges, activations]; the mask of what products read, [B, H]
            or None.
    """
    return _Mixed.apply(Plan(living, running, plain, products()), *tensors)


class _Mixed(torch.autograd.Function):
    """With c = sigmoid(gate), an edge adds ``P s + delta``, ``delta = c (sum_k p_k f_k(d) - P s)``; so
    the gradient g of what it adds reaches the gate as ``delta * (g - g c)``."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor | None) -> Tensor:
        part, hidden, matrix, matrices, mixing, mask = tensors
        assert part is not None
        assert hidden is not None
        assert matrix is not None
        assert matrices is not None
        assert mixing is not None
        steps, batch, units = part.shape[0], hidden.shape[0], hidden.shape[1]
        nodes = len(plan.living)
        empty = hidden.new_empty
        outputs, firsts = empty(steps, batch, units), empty(steps, batch, 2 * units)
        raw, states = empty(steps, nodes + 1, batch, units), empty(steps, nodes + 1, batch, units)
        statistics = empty(2, steps, nodes + 1, units)
        both = [empty(steps, batch, nodes - source, 2, units) for source in range(nodes)]
        deltas = [empty(steps, batch, nodes - source, units) for source in range(nodes)]
        tanhs = [empty(steps, batch, nodes - source, units if TANH in living else 0) for source, living in plan.by_name]
        matrix = plan.products.factor(matrix)
        by_source = _factors(plan, matrices, units)
        weights = _by_source(mixing, nodes)
        minus = [-present for _, present in weights]
        with torch.autocast(hidden.device.type, enabled=False):
            for step in range(steps):
                first_node(part[step], hidden, mask, matrix, plan.products, firsts[step], raw[step, 0])
                for source in range(nodes + 1):
                    state = states[step, source]
                    _aten.native_batch_norm.out(
                        *(raw[step, source], None, None, *plan.running, True, MOMENTUM, EPS),
                        **{"out": state, "save_mean": statistics[0, step, source]},
                        save_invstd=statistics[1, step, source],
                    )
                    if source < nodes:
                        pair, delta = both[source][step], deltas[source][step]
                        plan.products.into(pair.view(batch, -1), masked(state, mask), by_source[source])
                        tanh = torch.tanh(pair[:, :, 1], out=tanhs[source][step]) if tanhs[source].numel() else None
                        edges(pair, state, weights[source][0], minus[source], plan.living[source], tanh, delta)
                        received = raw[step, source + 1 :].transpose(0, 1)
                        present = weights[source][1]
                        if source == 0:
                            torch.addcmul(delta, present, state.unsqueeze(1), out=received)
                        else:
                            received.addcmul_(present, state.unsqueeze(1)).add_(delta)
                hidden = torch.mean(states[step, 1:], 0, out=outputs[step])
        ctx.plan = plan
        ctx.save_for_backward(*tensors, outputs, firsts, raw, states, statistics, *both, *deltas, *tanhs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (gradient,) = gradients
        plan, wanted = ctx.plan, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # a second derivative is asked for
            return None, *differentiated_again(plan.plain, ctx.saved_tensors[:6], wanted, gradient)
        return None, *_backward(plan, wanted, gradient, ctx.saved_tensors)


def _factors(plan: Plan, matrices: Tensor, units: int) -> list[Tensor]:
    """By source the matrices of the nodes that read it [H, K*2H]."""
    factor = plan.products.factor(matrices)
    return [factor[:, source * 2 * units :] for source in range(len(plan.living))]


def _by_source(mixing: Tensor, nodes: int) -> list[tuple[Tensor, Tensor]]:
    """By source the mixing weights of its K edges, [activations, K, 1], and their sums [K, 1]."""
    sizes = [nodes - source for source in range(nodes)]
    present = mixing.sum(1, keepdim=True)
    parts = zip(mixing.t().unsqueeze(2).split(sizes, dim=1), present.split(sizes), strict=True)
    return [(weights, sums) for weights, sums in parts]


class _MixingGradient:
    """Adds up the gradient of the mixing weights over the steps, elementwise; summed at the end."""

    def __init__(self, plan: Plan, mixing: Tensor, batch: int, units: int) -> None:
        self.plan, self.mixing = plan, mixing
        nodes = len(plan.living)
        counts = [len(living) + 1 for living in plan.living]
        self.sums = [mixing.new_zeros(count, batch, nodes - source, units) for source, count in enumerate(counts)]

    def result(self) -> Tensor:
        """[edges, activations]."""
        found = torch.zeros_like(self.mixing)
        first = 0
        for living, sums in zip(self.plan.living, self.sums, strict=True):
            by_edge = sums.sum((1, 3))  # [activations and present, K]
            rows = found[first : first + by_edge.shape[1]]
            rows += by_edge[-1].unsqueeze(1)
            for index, (column, _) in enumerate(living):
                rows[:, column] += by_edge[index]
            first += by_edge.shape[1]
        return found


def _backward(plan: Plan, wanted: Sequence[bool], gradient: Tensor, saved: Sequence[Tensor]) -> list[Tensor | None]:
    part, hidden, matrix, matrices, mixing, mask, outputs, firsts, raw, states, statistics, *rest = saved
    nodes, (steps, batch, units) = len(plan.living), outputs.shape
    both, deltas, tanhs = rest[:nodes], rest[nodes : 2 * nodes], rest[2 * nodes :]
    transposed = plan.products.factor(matrix).t()
    by_source, weights = _factors(plan, matrices, units), _by_source(mixing, nodes)
    sums = _MixingGradient(plan, mixing, batch, units) if wanted[4] else None
    of_both = [torch.empty_like(one) for one in both]
    of_firsts, of_raw = torch.empty_like(firsts), torch.empty_like(raw[0])
    carried: Tensor | None = None
    for step in reversed(range(steps)):
        share = gradient[step] / nodes if carried is None else (gradient[step] + carried).div_(nodes)
        of_state = share
        for source in reversed(range(nodes + 1)):
            if source < nodes:
                state, received = states[step, source], of_raw[source + 1 :].transpose(0, 1)
                of_state = edges_backward(
                    received,
                    both[source][step],
                    deltas[source][step],
                    tanhs[source][step],
                    state,
                    weights[source],
                    plan.living[source],
                    None if sums is None else sums.sums[source],
                    of_both[source][step],
                )
                of_product = plan.products.product(of_both[source][step].view(batch, -1), by_source[source].t())
                of_state = of_state.add_(of_product) if mask is None else of_state.addcmul_(of_product, mask)
                if source:
                    of_state.add_(share)
            found, _, _ = _aten.native_batch_norm_backward(
                *(of_state, raw[step, source], None, None, None),
                *(statistics[0, step, source], statistics[1, step, source], True, EPS, [True, False, False]),
            )
            of_raw[source].copy_(found)
        before = hidden if step == 0 else outputs[step - 1]
        carried = first_node_backward(
            *(of_raw[0], firsts[step], before, raw[step, 0], mask, transposed, plan.products, of_firsts[step])
        )
    before = torch.cat([hidden.unsqueeze(0), outputs[:-1]])
    return [
        of_firsts.to(part.dtype),
        carried,
        plan.products.over_steps(before, mask, of_firsts) if wanted[2] else None,
        _matrices_gradient(plan, states, mask, of_both, matrices) if wanted[3] else None,
        None if sums is None else sums.result(),
        None,
    ]


def _matrices_gradient(
    plan: Plan, states: Tensor, mask: Tensor | None, of_both: Sequence[Tensor], matrices: Tensor
) -> Tensor:
    """[H, N*2H]: one product over all steps for every source."""
    total: Tensor | None = None
    for source, gradients in enumerate(of_both):
        found = plan.products.over_steps(states[:, source], mask, gradients.flatten(2))
        if total is None:
            total = found
        else:
            total[:, -found.shape[1] :] += found
    assert total is not None
    return total
