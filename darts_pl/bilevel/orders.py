"""Gradient of the validation loss with respect to the architecture parameters (paper section 2.3).

All functions take the same arguments, change nothing in the supernet, and return the same thing;
`ORDERS` maps the names that the configuration gives them to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from darts_pl.bilevel.draws import Draws
from darts_pl.bilevel.inner import InnerStep, Mean, clip_by_norm, identity_mean, total_norm
from darts_pl.bilevel.passes import device_of, drawn_pass, gradients, no_trace
from darts_pl.bilevel.precision import full_precision
from darts_pl.registry import Registry
from darts_pl.settings import above, setting
from darts_pl.spaces import Outcome, Supernet

#: What a function draws where no step is given.
FIRST_STEP = Draws(0, 0)


@dataclass(frozen=True)
class AlphaGradient:
    """The gradient of the architecture parameters and what was seen on the way.

    Args:
        gradient: by the names of `Supernet.architecture`, averaged over ranks.
        valid: the outcome on the valid batch (in second order at the virtually moved weights).
        ratio: norm of the second-order term (times xi) over norm of the first-order term, a
            scalar tensor; None in first order.
        weights: by the names of `Supernet.weights` the gradient of the valid loss, averaged over
            ranks, where it was asked for (in second order at the virtually moved weights).
    """

    gradient: dict[str, Tensor]
    valid: Outcome
    ratio: Tensor | None = None
    weights: dict[str, Tensor] | None = None


class Hypergradient(Protocol):
    """How the gradient of the architecture parameters is computed."""

    def __call__(
        self,
        supernet: Supernet,
        train: Any,
        valid: Any,
        inner: InnerStep,
        mean: Mean = identity_mean,
        draws: Draws = FIRST_STEP,
        weights: bool = False,
    ) -> AlphaGradient:
        """The gradient, and nothing changed in the supernet.

        Args:
            supernet: the network; untouched.
            train: batch of the train split.
            valid: batch of the valid split.
            inner: what the weight optimizer would do next.
            mean: mean over ranks.
            draws: of the step.
            weights: whether the gradient of the weights on the valid batch is returned as well.
        """


@dataclass(frozen=True, kw_only=True)
class OrderSettings:
    """An order without settings.

    `low_precision` says whether the order may run in bfloat16, and `reason` why not.
    """

    low_precision: ClassVar[bool] = False
    reason: ClassVar[str] = "the product of the Hessian and a vector, differentiated twice, is too inexact in bfloat16"


@dataclass(frozen=True, kw_only=True)
class FirstOrderSettings(OrderSettings):
    """The weights are taken as optimal."""

    low_precision: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class SecondOrderSettings(OrderSettings):
    """Central differences."""

    reason: ClassVar[str] = (
        "the finite difference subtracts nearly equal gradients, whose difference is lost in bfloat16"
    )

    radius: float = setting("eps = radius / ||v|| of the central difference", above(0))


#: By name, what makes a `Hypergradient`; given its settings where it has some.
ORDERS: Registry[Callable[..., Hypergradient]] = Registry("order")


def order(name: str, settings: type[OrderSettings] = OrderSettings) -> Callable[[Hypergradient], Hypergradient]:
    """Decorator that registers a function as an order.

    Args:
        name: of the order.
        settings: of its section of the configuration; `radius` reaches the function in the inner step.
    """

    def register(function: Hypergradient) -> Hypergradient:
        def make(settings: Any = None) -> Hypergradient:
            return function

        ORDERS.add(name, make, settings=settings, origin=function)
        return function

    return register


@order("first", FirstOrderSettings)
def first_order(
    supernet: Supernet,
    train: Any,
    valid: Any,
    inner: InnerStep,
    mean: Mean = identity_mean,
    draws: Draws = FIRST_STEP,
    weights: bool = False,
) -> AlphaGradient:
    """grad_alpha L_val(w, alpha): the weights are taken as if they were optimal (xi = 0).

    The arguments are those of `Hypergradient`; `train` and `inner` are not read.
    """
    own = {name: weight.detach().requires_grad_(weights) for name, weight in supernet.weights().items()}
    searched = supernet.architecture()
    with no_trace(supernet):
        outcome = drawn_pass(supernet, valid, "valid", draws, own)
        asked = [*searched.values(), *(own.values() if weights else ())]
        found = mean(gradients(outcome.loss, asked))
    direct, vector = found[: len(searched)], found[len(searched) :]
    return AlphaGradient(
        dict(zip(searched, direct, strict=True)),
        _detached(outcome),
        weights=dict(zip(own, vector, strict=True)) if weights else None,
    )


@order("second", SecondOrderSettings)
def second_order(
    supernet: Supernet,
    train: Any,
    valid: Any,
    inner: InnerStep,
    mean: Mean = identity_mean,
    draws: Draws = FIRST_STEP,
    weights: bool = False,
) -> AlphaGradient:
    """grad_alpha L_val(w', alpha) - xi * (grad_alpha L_train(w+) - grad_alpha L_train(w-)) / (2 eps).

    With w' the virtual step, v = grad_w' L_val(w', alpha) and w+- = w +- eps v, eps = radius / ||v||
    (paper equations 7 and 8). The arguments are those of `Hypergradient`; the mean is applied to
    the virtual step's gradient, to v and to the result.
    """
    assert inner.radius is not None, "the central difference needs a radius"
    searched = supernet.architecture()
    with no_trace(supernet), full_precision(device_of(supernet).type):
        own = {name: weight.detach().requires_grad_() for name, weight in supernet.weights().items()}
        outcome = drawn_pass(supernet, train, "train", draws, own, through_architecture=False)
        step = mean(gradients(outcome.loss, list(own.values())))
        moved = _at_moved_weights(supernet, valid, step, inner, mean, draws)
        with torch.no_grad():
            norm = total_norm(moved.vector)
            eps = inner.radius / norm.clamp_min(torch.finfo(norm.dtype).tiny)  # v = 0 gives 0, not nan
            offset = list(torch._foreach_mul(moved.vector, eps))
        sides = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                shifted = torch._foreach_add([weight.detach() for weight in own.values()], offset, alpha=sign)
            outcome = drawn_pass(supernet, train, "train", draws, dict(zip(own, shifted, strict=True)))
            sides.append(gradients(outcome.loss, list(searched.values())))
        with torch.no_grad():
            implicit = [(plus - minus) / (2 * eps) for plus, minus in zip(*sides, strict=True)]
        return _combined(supernet, moved, implicit, inner, mean, weights)


@order("second_exact")
def second_order_exact(
    supernet: Supernet,
    train: Any,
    valid: Any,
    inner: InnerStep,
    mean: Mean = identity_mean,
    draws: Draws = FIRST_STEP,
    weights: bool = False,
) -> AlphaGradient:
    """As `second_order`, with the exact product of v and the mixed second derivative.

    Differentiates <grad_w L_train(w, alpha), v> with respect to alpha (double backward): about
    twice the memory, no radius. The arguments are those of `Hypergradient`.
    """
    searched = supernet.architecture()
    with no_trace(supernet), full_precision(device_of(supernet).type):
        own = {name: weight.detach().requires_grad_() for name, weight in supernet.weights().items()}
        outcome = drawn_pass(supernet, train, "train", draws, own)
        gradient = gradients(outcome.loss, list(own.values()), create_graph=True)
        step = mean([part.detach() for part in gradient])
        moved = _at_moved_weights(supernet, valid, step, inner, mean, draws)
        used = [index for index, part in enumerate(gradient) if part.requires_grad]  # the others are not computed
        implicit = gradients(
            [gradient[index] for index in used],
            list(searched.values()),
            [moved.vector[index] for index in used],
        )
        return _combined(supernet, moved, implicit, inner, mean, weights)


@dataclass(frozen=True)
class _Moved:
    """What the pass at the virtually moved weights w' gives.

    Args:
        outcome: on the valid batch.
        direct: grad_alpha L_val(w', alpha), not averaged.
        gradient: grad_w' L_val(w', alpha), averaged.
        vector: v: the same, clipped as the inner step says.
        coefficient: by which the virtual step's gradient was clipped; None = not.
    """

    outcome: Outcome
    direct: list[Tensor]
    gradient: list[Tensor]
    vector: list[Tensor]
    coefficient: Tensor | None


def _at_moved_weights(
    supernet: Supernet, valid: Any, step: list[Tensor], inner: InnerStep, mean: Mean, draws: Draws
) -> _Moved:
    searched, own = list(supernet.architecture().values()), supernet.weights()
    with torch.no_grad():
        moved, coefficient = inner.moved([weight.detach() for weight in own.values()], step)
    moved = [weight.requires_grad_() for weight in moved]
    outcome = drawn_pass(supernet, valid, "valid", draws, dict(zip(own, moved, strict=True)))
    found = gradients(outcome.loss, searched + moved)
    with torch.no_grad():
        averaged = mean(list(found[len(searched) :]))
        vector, _ = clip_by_norm(inner.moving(averaged), inner.clip)
    return _Moved(outcome, list(found[: len(searched)]), averaged, vector, coefficient)


def _combined(
    supernet: Supernet, moved: _Moved, implicit: list[Tensor], inner: InnerStep, mean: Mean, weights: bool
) -> AlphaGradient:
    with torch.no_grad():
        scale = inner.lr if moved.coefficient is None else inner.lr * moved.coefficient
        scaled = [scale * part for part in implicit]
    return combined(supernet, moved.outcome, moved.direct, scaled, mean, moved.gradient if weights else None)


def combined(
    supernet: Supernet,
    outcome: Outcome,
    direct: list[Tensor],
    implicit: list[Tensor],
    mean: Mean,
    weights: list[Tensor] | None,
) -> AlphaGradient:
    """The direct gradient minus the implicit one.

    Args:
        supernet: gives the names.
        outcome: on the valid batch.
        direct, implicit: for each architecture parameter, not averaged.
        mean: mean over ranks.
        weights: the averaged gradient of the valid loss for each weight, where it was asked for.
    """
    with torch.no_grad():
        averaged = mean([*direct, *implicit])
        direct, implicit = averaged[: len(direct)], averaged[len(direct) :]
        ratio = total_norm(implicit) / total_norm(direct)
        gradient = torch._foreach_sub(direct, implicit)
    return AlphaGradient(
        dict(zip(supernet.architecture(), gradient, strict=True)),
        _detached(outcome),
        ratio,
        None if weights is None else dict(zip(supernet.weights(), weights, strict=True)),
    )


def _detached(outcome: Outcome) -> Outcome:
    return Outcome(outcome.loss.detach(), outcome.outputs.detach(), outcome.carry)
