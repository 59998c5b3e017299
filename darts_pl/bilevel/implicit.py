"""The alpha gradient through more than one step of the weights: a Neumann series, and unrolled steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from darts_pl.bilevel.draws import Draws
from darts_pl.bilevel.inner import InnerStep, Mean, clip_by_norm, descended, identity_mean
from darts_pl.bilevel.orders import FIRST_STEP, ORDERS, AlphaGradient, OrderSettings, combined
from darts_pl.bilevel.passes import device_of, drawn_pass, gradients, no_trace
from darts_pl.bilevel.precision import full_precision
from darts_pl.settings import above, at_least, or_null, setting
from darts_pl.spaces import Outcome, Supernet


class _Slope:
    """The gradient of the train loss in the weights at one point, which can be differentiated again.

    Args:
        supernet, train, draws: see `Hypergradient`.
        point: the weights.
    """

    def __init__(self, supernet: Supernet, train: Any, draws: Draws, point: list[Tensor]) -> None:
        self.searched = list(supernet.architecture().values())
        self.point = [weight.detach().requires_grad_() for weight in point]
        named = dict(zip(supernet.weights(), self.point, strict=True))
        loss = drawn_pass(supernet, train, "train", draws, named).loss
        self.value = gradients(loss, self.point, create_graph=True)
        self._used = [index for index, part in enumerate(self.value) if part.requires_grad]  # others are not computed

    def in_weights(self, vector: list[Tensor]) -> list[Tensor]:
        """The product of the Hessian in the weights and a vector."""
        return self._products(self.point, vector, keep=True)

    def in_architecture(self, vector: list[Tensor]) -> list[Tensor]:
        """The product of the mixed second derivative and a vector, for each architecture parameter; the last one."""
        return self._products(self.searched, vector, keep=False)

    def _products(self, tensors: Sequence[Tensor], vector: list[Tensor], keep: bool) -> list[Tensor]:
        slopes, chosen = ([parts[index] for index in self._used] for parts in (self.value, vector))
        return gradients(slopes, tensors, chosen, retain_graph=keep)


def _valid_pass(
    supernet: Supernet, valid: Any, draws: Draws, point: list[Tensor], mean: Mean
) -> tuple[Outcome, list[Tensor], list[Tensor]]:
    """On the valid batch: the outcome, the gradients in the architecture (not averaged) and the weights (averaged)."""
    searched = list(supernet.architecture().values())
    leaves = [weight.detach().requires_grad_() for weight in point]
    outcome = drawn_pass(supernet, valid, "valid", draws, dict(zip(supernet.weights(), leaves, strict=True)))
    found = gradients(outcome.loss, [*searched, *leaves])
    return outcome, found[: len(searched)], mean(found[len(searched) :])


@dataclass(frozen=True, kw_only=True)
class NeumannSettings(OrderSettings):
    """A truncated Neumann series."""

    terms: int = setting("terms of the series; each after the first costs one Hessian-vector product", at_least(1))
    step_size: float | None = setting(
        "factor of the Hessian in the series, which converges below 2 over its largest eigenvalue",
        or_null(above(0), "the learning rate of the weights"),
    )


class Neumann:
    """Implicit gradient with a truncated Neumann series for the inverse of the Hessian.

    ``grad_alpha L_val - gamma * d2 L_train / dalpha dw * sum_{j < terms} (I - gamma H)^j * v`` with v =
    grad_w L_val and H the Hessian of the train loss in the weights plus weight decay, all at the
    present weights, which are taken as optimal (Zhang et al., "iDARTS: Differentiable Architecture
    Search with Stochastic Implicit Gradients", ICML 2021; Lorraine et al., AISTATS 2020). For more
    terms the sum tends to the inverse of gamma H; its error falls by 1 - gamma * lambda per term.

    Args:
        settings: of the section `order`; None = one term, with the learning rate of the weights.
    """

    def __init__(self, settings: NeumannSettings | None = None) -> None:
        self.terms = 1 if settings is None else settings.terms
        self.step_size = None if settings is None else settings.step_size

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
        """See `Hypergradient`; of `inner` the learning rate, weight decay, clipping and what is frozen are read."""
        size = inner.lr if self.step_size is None else self.step_size
        with no_trace(supernet), full_precision(device_of(supernet).type):
            point = [weight.detach() for weight in supernet.weights().values()]
            outcome, direct, gradient = _valid_pass(supernet, valid, draws, point, mean)
            term, _ = clip_by_norm(inner.moving(gradient), inner.clip)
            slope = _Slope(supernet, train, draws, point)
            total = list(term)
            for _ in range(self.terms - 1):
                product = mean(slope.in_weights(term))
                decayed = list(torch._foreach_add(product, term, alpha=inner.weight_decay))
                term = inner.moving(descended(term, decayed, size))
                total = list(torch._foreach_add(total, term))
            implicit = slope.in_architecture(list(torch._foreach_mul(total, size)))
            return combined(supernet, outcome, direct, implicit, mean, gradient if weights else None)


@dataclass(frozen=True, kw_only=True)
class UnrolledSettings(OrderSettings):
    """Several steps of the weights, differentiated exactly."""

    steps: int = setting("steps of the weights on the train batch, through all of which is differentiated", at_least(1))


class Unrolled:
    """The exact gradient of ``L_val(w_T(alpha), alpha)``, with w_T the weights after T steps of SGD on the train batch.

    Every step is that of the weight optimizer, with its momentum and weight decay (the coefficient by
    which a gradient is clipped is taken as constant). With one step it is `second_exact`. The steps
    are gone through backwards by products with second derivatives (double backward), and their
    graphs are built again one by one: the memory does not grow with T, but for T copies of the weights.

    Args:
        settings: of the section `order`; None = one step.
    """

    def __init__(self, settings: UnrolledSettings | None = None) -> None:
        self.steps = 1 if settings is None else settings.steps

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
        """See `Hypergradient`."""
        with no_trace(supernet), full_precision(device_of(supernet).type):
            point = [weight.detach() for weight in supernet.weights().values()]
            points: list[list[Tensor]] = []
            coefficients: list[Tensor | None] = []
            step, slope = inner, None
            for _ in range(self.steps):
                del slope  # its graph, before the next one is built
                points.append(point)
                slope = _Slope(supernet, train, draws, point)
                with torch.no_grad():
                    averaged = mean([part.detach() for part in slope.value])
                    point, buffers, coefficient = step.stepped(point, averaged)
                    step = replace(step, buffers=buffers)
                coefficients.append(coefficient)
            outcome, direct, gradient = _valid_pass(supernet, valid, draws, point, mean)
            vector, _ = clip_by_norm(inner.moving(gradient), inner.clip)
            implicit = [torch.zeros_like(part) for part in direct]
            of_momentum = [torch.zeros_like(part) for part in vector]
            for number in reversed(range(self.steps)):
                if slope is None:
                    slope = _Slope(supernet, train, draws, points[number])
                # What the loss changes with the direction of this step: w' = w - lr * direction.
                of_momentum = inner.moving(descended(of_momentum, vector, inner.lr))
                coefficient = coefficients[number]
                of_slope = of_momentum if coefficient is None else [coefficient * part for part in of_momentum]
                if number:
                    product = mean(slope.in_weights(of_slope))
                    vector = list(torch._foreach_add(vector, inner.moving(product)))
                    vector = list(torch._foreach_add(vector, of_momentum, alpha=inner.weight_decay))
                implicit = list(torch._foreach_sub(implicit, slope.in_architecture(of_slope)))
                of_momentum, slope = list(torch._foreach_mul(of_momentum, inner.momentum)), None
            return combined(supernet, outcome, direct, implicit, mean, gradient if weights else None)


ORDERS.add("neumann", Neumann, settings=NeumannSettings)
ORDERS.add("unrolled", Unrolled, settings=UnrolledSettings)
