"""Gradient of the validation loss with respect to the alphas (paper section 2.3).

All functions take the same arguments, change nothing in the supernet, and return the same thing;
`ORDERS` maps their names, as the configuration gives them, to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from darts_pl.bilevel.inner import InnerStep, Mean, clip_by_norm, identity_mean, total_norm
from darts_pl.bilevel.passes import RandomState, evaluate, full_precision, gradients, no_trace
from darts_pl.spaces import Outcome, Supernet


@dataclass(frozen=True)
class AlphaGradient:
    """The gradient of the alphas and what was seen on the way.

    Args:
        gradient: by cell type, of the shape of the alphas, averaged over ranks.
        valid: the outcome on the valid batch (in second order at the virtually moved weights).
        ratio: norm of the second-order term (times xi) over norm of the first-order term, a
            scalar tensor; None in first order.
    """

    gradient: dict[str, Tensor]
    valid: Outcome
    ratio: Tensor | None = None


#: (supernet, train batch, valid batch, inner step, mean over ranks) -> AlphaGradient
Hypergradient = Callable[[Supernet, Any, Any, InnerStep, Mean], AlphaGradient]


def first_order(
    supernet: Supernet, train: Any, valid: Any, inner: InnerStep, mean: Mean = identity_mean
) -> AlphaGradient:
    """grad_alpha L_val(w, alpha): the weights are taken as if they were optimal (xi = 0).

    Args:
        supernet: the network; untouched.
        train: not read.
        valid: batch of the valid split.
        inner: not read.
        mean: mean over ranks.
    """
    weights = {name: weight.detach() for name, weight in supernet.weights().items()}
    names, alphas = _alphas(supernet)
    with no_trace(supernet):
        outcome = evaluate(supernet, valid, weights)
        gradient = gradients(outcome.loss, alphas)
    return AlphaGradient(dict(zip(names, mean(gradient), strict=True)), _detached(outcome))


def second_order(
    supernet: Supernet, train: Any, valid: Any, inner: InnerStep, mean: Mean = identity_mean
) -> AlphaGradient:
    """grad_alpha L_val(w', alpha) - xi * (grad_alpha L_train(w+) - grad_alpha L_train(w-)) / (2 eps).

    With w' the virtual step, v = grad_w' L_val(w', alpha) and w+- = w +- eps v, eps = radius / ||v||
    (paper equations 7 and 8).

    Args:
        supernet: the network; untouched.
        train: batch of the train split.
        valid: batch of the valid split.
        inner: the virtual step.
        mean: mean over ranks, applied to the virtual step's gradient, to v and to the result.
    """
    names, alphas = _alphas(supernet)
    with no_trace(supernet), full_precision(alphas[0].device.type):
        random = RandomState([*alphas])
        weights = {name: weight.detach().requires_grad_() for name, weight in supernet.weights().items()}
        outcome = evaluate(supernet, train, weights | _detached_alphas(supernet))
        step = mean(gradients(outcome.loss, list(weights.values())))
        valid_outcome, direct, vector, coefficient = _at_moved_weights(supernet, valid, step, inner, mean)
        with torch.no_grad():
            norm = total_norm(vector)
            eps = inner.radius / norm.clamp_min(torch.finfo(norm.dtype).tiny)  # v = 0 gives 0, not nan
            offset = list(torch._foreach_mul(vector, eps))
        sides = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                moved = torch._foreach_add([weight.detach() for weight in weights.values()], offset, alpha=sign)
            random.rewind()
            outcome = evaluate(supernet, train, dict(zip(weights, moved, strict=True)))
            sides.append(gradients(outcome.loss, alphas))
        with torch.no_grad():
            implicit = [(plus - minus) / (2 * eps) for plus, minus in zip(*sides, strict=True)]
        return _combined(names, direct, implicit, coefficient, inner, mean, valid_outcome)


def second_order_exact(
    supernet: Supernet, train: Any, valid: Any, inner: InnerStep, mean: Mean = identity_mean
) -> AlphaGradient:
    """As `second_order`, with the exact product of v and the mixed second derivative.

    Differentiates <grad_w L_train(w, alpha), v> with respect to alpha (double backward): about
    twice the memory, no radius.

    Args:
        supernet: the network; untouched.
        train: batch of the train split.
        valid: batch of the valid split.
        inner: the virtual step; its radius is not read.
        mean: mean over ranks.
    """
    names, alphas = _alphas(supernet)
    with no_trace(supernet), full_precision(alphas[0].device.type):
        weights = {name: weight.detach().requires_grad_() for name, weight in supernet.weights().items()}
        outcome = evaluate(supernet, train, weights)
        gradient = gradients(outcome.loss, list(weights.values()), create_graph=True)
        step = mean([part.detach() for part in gradient])
        valid_outcome, direct, vector, coefficient = _at_moved_weights(supernet, valid, step, inner, mean)
        used = [index for index, part in enumerate(gradient) if part.requires_grad]  # the others are masked
        implicit = gradients([gradient[index] for index in used], alphas, [vector[index] for index in used])
        return _combined(names, direct, implicit, coefficient, inner, mean, valid_outcome)


def _at_moved_weights(
    supernet: Supernet, valid: Any, step: list[Tensor], inner: InnerStep, mean: Mean
) -> tuple[Outcome, list[Tensor], list[Tensor], Tensor | None]:
    """At w': the outcome, grad_alpha L_val, v (averaged, clipped), and the step's clip coefficient."""
    _, alphas = _alphas(supernet)
    own = supernet.weights()
    with torch.no_grad():
        moved, coefficient = inner.moved([weight.detach() for weight in own.values()], step)
    moved = [weight.requires_grad_() for weight in moved]
    outcome = evaluate(supernet, valid, dict(zip(own, moved, strict=True)))
    gradient = gradients(outcome.loss, alphas + moved)
    with torch.no_grad():
        vector, _ = clip_by_norm(mean(list(gradient[len(alphas) :])), inner.clip)
    return outcome, list(gradient[: len(alphas)]), vector, coefficient


def _combined(
    names: list[str],
    direct: list[Tensor],
    implicit: list[Tensor],
    coefficient: Tensor | None,
    inner: InnerStep,
    mean: Mean,
    valid: Outcome,
) -> AlphaGradient:
    with torch.no_grad():
        scale = inner.lr if coefficient is None else inner.lr * coefficient
        implicit = [scale * part for part in implicit]
        averaged = mean([*direct, *implicit])
        direct, implicit = averaged[: len(direct)], averaged[len(direct) :]
        ratio = total_norm(implicit) / total_norm(direct)
        gradient = torch._foreach_sub(direct, implicit)
    return AlphaGradient(dict(zip(names, gradient, strict=True)), _detached(valid), ratio)


def _alphas(supernet: Supernet) -> tuple[list[str], list[Tensor]]:
    return list(supernet.alphas.keys()), list(supernet.alphas.values())


def _detached_alphas(supernet: Supernet) -> dict[str, Tensor]:
    return {f"alphas.{name}": alpha.detach() for name, alpha in supernet.alphas.items()}


def _detached(outcome: Outcome) -> Outcome:
    return Outcome(outcome.loss.detach(), outcome.outputs.detach(), outcome.carry)


ORDERS: Mapping[str, Hypergradient] = {
    "first": first_order,
    "second": second_order,
    "second_exact": second_order_exact,
}


def hypergradient(name: str) -> Hypergradient:
    """The function of `ORDERS` called `name`."""
    return ORDERS[name]
