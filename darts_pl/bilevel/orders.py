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
from darts_pl.bilevel.inner import InnerStep, Mean, identity_mean, total_norm
from darts_pl.bilevel.passes import drawn_pass, gradients, no_trace
from darts_pl.registry import Registry
from darts_pl.spaces import Outcome, Supernet

#: What a function draws where no step is given.
FIRST_STEP = Draws(0, 0)


@dataclass(frozen=True)
class WeightPass:
    """A pass on the train batch at the present weights, which the weight step may use.

    Args:
        outcome: detached.
        gradient: of the loss, by the names of `Supernet.weights`, averaged over ranks.
        buffers: by name those of the supernet after the pass.
    """

    outcome: Outcome
    gradient: dict[str, Tensor]
    buffers: dict[str, Tensor]


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
        train: the pass from which the weight step takes its gradient; None = it computes its own.
    """

    gradient: dict[str, Tensor]
    valid: Outcome
    ratio: Tensor | None = None
    weights: dict[str, Tensor] | None = None
    train: WeightPass | None = None


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

    `low_precision` says whether the order may run in bfloat16, and `reason` why not; `differentiates_twice` whether it
    differentiates a gradient.
    """

    low_precision: ClassVar[bool] = False
    differentiates_twice: ClassVar[bool] = True
    reason: ClassVar[str] = "the product of the Hessian and a vector, differentiated twice, is too inexact in bfloat16"


@dataclass(frozen=True, kw_only=True)
class FirstOrderSettings(OrderSettings):
    """The weights are taken as optimal."""

    low_precision: ClassVar[bool] = True
    differentiates_twice: ClassVar[bool] = False


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
        detached(outcome),
        weights=dict(zip(own, vector, strict=True)) if weights else None,
    )


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
        detached(outcome),
        ratio,
        None if weights is None else dict(zip(supernet.weights(), weights, strict=True)),
    )


def detached(outcome: Outcome) -> Outcome:
    """The outcome without a graph."""
    return Outcome(outcome.loss.detach(), outcome.outputs.detach(), outcome.carry)
