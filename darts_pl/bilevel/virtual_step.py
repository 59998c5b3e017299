"""The second order (paper equations 6 to 8): the valid loss after a virtual step of the weights.

`second` approximates the mixed second derivative by a difference of gradients, `second_exact` computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from darts_pl.bilevel.draws import Draws
from darts_pl.bilevel.inner import InnerStep, Mean, clip_by_norm, identity_mean, total_norm
from darts_pl.bilevel.orders import (
    FIRST_STEP,
    ORDERS,
    AlphaGradient,
    OrderSettings,
    WeightPass,
    combined,
    detached,
    order,
)
from darts_pl.bilevel.passes import changing_buffers, device_of, drawn_pass, gradients, no_trace
from darts_pl.bilevel.precision import full_precision
from darts_pl.settings import above, one_of, setting
from darts_pl.spaces import Outcome, Supernet

CENTRAL, FORWARD = "central", "forward"


@dataclass(frozen=True, kw_only=True)
class SecondOrderSettings(OrderSettings):
    """Differences of gradients."""

    differentiates_twice: ClassVar[bool] = False
    reason: ClassVar[str] = (
        "the finite difference subtracts nearly equal gradients, whose difference is lost in bfloat16"
    )

    radius: float = setting("eps = radius / ||v|| of the central difference", above(0))
    difference: str = setting(
        "central: from both sides of the weights; forward: from one side and the weights themselves, a pass less",
        one_of(CENTRAL, FORWARD),
    )
    reuse_weight_gradient: bool = setting(
        "whether the weight step takes the gradient of the virtual step, computed at the alphas before their step"
    )


@dataclass(frozen=True)
class SecondOrder:
    """grad_alpha L_val(w', alpha) - xi * (grad_alpha L_train(w+) - grad_alpha L_train(w-)) / (2 eps).

    With w' the virtual step, v = grad_w' L_val(w', alpha) and w+- = w +- eps v, eps = radius / ||v||
    (paper equations 7 and 8). The mean over ranks is applied to the virtual step's gradient, to v and to the result.

    Args:
        difference: "central", of error O(eps^2); "forward" takes w in place of w- and half the distance: error O(eps),
            and the pass at w is that of the virtual step.
        reuse_weight_gradient: whether the weight step takes the gradient of the virtual step.
    """

    difference: str = CENTRAL
    reuse_weight_gradient: bool = False

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
        assert inner.radius is not None, "the difference needs a radius"
        forward = self.difference == FORWARD
        searched, kept = list(supernet.architecture().values()), None
        with no_trace(supernet), full_precision(device_of(supernet).type):
            own = {name: weight.detach().requires_grad_() for name, weight in supernet.weights().items()}
            outcome = drawn_pass(supernet, train, "train", draws, own, through_architecture=forward)
            found = gradients(outcome.loss, [*own.values(), *(searched if forward else ())])
            step, at_weights = mean(found[: len(own)]), found[len(own) :]
            if self.reuse_weight_gradient:
                buffers = {name: buffer.clone() for name, buffer in changing_buffers(supernet).items()}
                kept = WeightPass(detached(outcome), dict(zip(own, step, strict=True)), buffers)
            del outcome, found
            moved = _at_moved_weights(supernet, valid, own, step, inner, mean, draws)
            del step
            with torch.no_grad():
                norm = total_norm(moved.vector)
                eps = inner.radius / norm.clamp_min(torch.finfo(norm.dtype).tiny)  # v = 0 gives 0, not nan
                offset = list(torch._foreach_mul(moved.vector, eps))
            sides = [self._at(supernet, train, draws, own, offset, 1.0)]
            sides.append(list(at_weights) if forward else self._at(supernet, train, draws, own, offset, -1.0))
            with torch.no_grad():
                distance = eps if forward else 2 * eps
                implicit = [(plus - minus) / distance for plus, minus in zip(*sides, strict=True)]
            result = _combined(supernet, moved, implicit, inner, mean, weights)
        return result if kept is None else replace(result, train=kept)

    @staticmethod
    def _at(
        supernet: Supernet, train: Any, draws: Draws, own: dict[str, Tensor], offset: list[Tensor], sign: float
    ) -> list[Tensor]:
        """grad_alpha L_train at w + sign * offset."""
        with torch.no_grad():
            shifted = torch._foreach_add([weight.detach() for weight in own.values()], offset, alpha=sign)
        outcome = drawn_pass(supernet, train, "train", draws, dict(zip(own, shifted, strict=True)))
        return gradients(outcome.loss, list(supernet.architecture().values()))


#: With central differences, each step with passes of its own.
second_order = SecondOrder()


def _second(settings: SecondOrderSettings | None = None) -> SecondOrder:
    if settings is None:
        return second_order
    return SecondOrder(settings.difference, settings.reuse_weight_gradient)


ORDERS.add("second", _second, settings=SecondOrderSettings)


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
        moved = _at_moved_weights(supernet, valid, own, step, inner, mean, draws)
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
    supernet: Supernet,
    valid: Any,
    own: Mapping[str, Tensor],
    step: list[Tensor],
    inner: InnerStep,
    mean: Mean,
    draws: Draws,
) -> _Moved:
    searched = list(supernet.architecture().values())
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
