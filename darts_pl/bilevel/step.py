"""One step of a search in plain torch: what the LightningModule, trials and tests all run (algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from darts_pl.bilevel.draws import Draws
from darts_pl.bilevel.freezing import frozen_by, held
from darts_pl.bilevel.inner import InnerStep, Mean, identity_mean
from darts_pl.bilevel.observers import Observer
from darts_pl.bilevel.orders import AlphaGradient, Hypergradient, WeightPass
from darts_pl.bilevel.passes import device_of, evaluate, gradients
from darts_pl.bilevel.perturbation import NoPerturbation, Perturbation
from darts_pl.bilevel.regulariser import Regulariser
from darts_pl.errors import UserError
from darts_pl.spaces import Outcome, Supernet


class StepResult(NamedTuple):
    """What one step saw.

    Args:
        train: the outcome of the weight pass, at the new alphas and before the weights moved.
        valid: the outcome of the alpha pass; None where the alphas did not move.
        norm: of the averaged weight gradient before clipping, a scalar tensor.
        ratio: see `AlphaGradient`.
    """

    train: Outcome
    valid: Outcome | None
    norm: Tensor
    ratio: Tensor | None


class SearchStep:
    """Moves the architecture parameters against the valid loss, then the weights against the train loss.

    Args:
        supernet: the search network, in training mode.
        order: how the gradient of the architecture parameters is computed.
        weights: SGD over `supernet.weights()`.
        alphas: the optimizer over `supernet.architecture()`.
        grad_clip: largest norm of the weight gradient; None = not clipped.
        alpha_clip: largest norm of the gradient of the architecture parameters; None = not clipped.
        radius: of the central difference in second order.
        regulariser: added to the loss of the architecture parameters, after the order.
        perturbation: of the mixing weights in the weight step.
        observers: what sees the step.
        mean: mean over ranks.
        seed: of everything that is drawn.
        step_weights: what moves the weights; None = `weights.step`.
        valid_batch: gives a batch of the valid split, for observers at the end of an epoch; None = there is none.
    """

    def __init__(
        self,
        supernet: Supernet,
        *,
        order: Hypergradient,
        weights: torch.optim.Optimizer,
        alphas: torch.optim.Optimizer,
        grad_clip: float | None = None,
        alpha_clip: float | None = None,
        radius: float | None = None,
        regulariser: Regulariser | None = None,
        perturbation: Perturbation | None = None,
        observers: Sequence[Observer] = (),
        mean: Mean = identity_mean,
        seed: int = 0,
        step_weights: Callable[[], Any] | None = None,
        valid_batch: Callable[[], Any] | None = None,
    ) -> None:
        self.supernet = supernet
        self.order = order
        self.weights = weights
        self.alphas = alphas
        self.grad_clip = grad_clip
        self.alpha_clip = alpha_clip
        self.radius = radius
        self.regulariser = regulariser
        self.perturbation = perturbation
        self.observers = tuple(observers)
        self.mean = mean
        self.seed = seed
        self.step_weights = weights.step if step_weights is None else step_weights
        self.valid_batch = valid_batch

    def __call__(self, train: Any, valid: Any, number: int, move_alphas: bool = True) -> StepResult:
        """One step.

        Args:
            train: batch of the train split.
            valid: batch of the valid split; not read where the alphas do not move.
            number: of the step, counted from 0 over the whole search; what is drawn depends on it.
            move_alphas: False = only the weights move (a warm-up).
        """
        draws = Draws(self.seed, number)
        for observer in self.observers:
            observer.on_step_start(number, self)
        with scaled_lr(self.weights, self.supernet.lr_factor(train)):
            seen = self._move_alphas(train, valid, number, draws) if move_alphas else None
            outcome, norm = self._move_weights(train, number, draws, None if seen is None else seen.train)
        if seen is None:
            return StepResult(outcome, None, norm, None)
        return StepResult(outcome, seen.valid, norm, seen.ratio)

    def _move_alphas(self, train: Any, valid: Any, number: int, draws: Draws) -> AlphaGradient:
        also = any(observer.needs_valid_weight_gradient for observer in self.observers)
        result = self.order(self.supernet, train, valid, self.inner_step(), self.mean, draws, also)
        searched = self.supernet.architecture()
        self._add_regulariser(searched, result)
        for observer in self.observers:
            observer.on_alpha_gradient(number, result)
        for name, gradient in result.gradient.items():
            searched[name].grad = gradient
        if self.alpha_clip is not None:
            nn.utils.clip_grad_norm_(searched.values(), self.alpha_clip)
        self.alphas.step()
        self.alphas.zero_grad()
        return result

    def _add_regulariser(self, searched: dict[str, nn.Parameter], result: AlphaGradient) -> None:
        term = None if self.regulariser is None else self.regulariser(self.supernet)
        if term is not None:
            for name, extra in zip(searched, gradients(term, list(searched.values())), strict=True):
                result.gradient[name] = result.gradient[name] + extra

    def _weight_pass(self, train: Any, draws: Draws, own: list[nn.Parameter]) -> tuple[Outcome, list[Tensor]]:
        """What the pass on the train batch saw, and the averaged gradient of the weights `own`."""
        device = device_of(self.supernet)
        with torch.no_grad():
            mixing = self.supernet.mixing(draws("train", device), sample=True)
        if self.perturbation is not None:
            mixing = dict(self.perturbation(self.supernet, mixing, train, draws("perturb", device), self.mean))
        with draws.seeding("train", device):
            outcome = evaluate(self.supernet, train, mixing)
        return outcome, self.mean(gradients(self.supernet.weight_loss(outcome), own))

    def _reused_pass(self, given: WeightPass) -> tuple[Outcome, list[Tensor]]:
        """The same from the pass of the virtual step, whose statistics the supernet takes over."""
        if self.perturbation is not None and not isinstance(self.perturbation, NoPerturbation):
            raise UserError("order.reuse_weight_gradient=true: the weights would not see the perturbation; use false")
        if self.supernet.weight_loss(given.outcome) is not given.outcome.loss:
            raise UserError(
                "order.reuse_weight_gradient=true: the weights descend another loss than the virtual step "
                "(search.slowness); use false"
            )
        buffers = dict(self.supernet.named_buffers())
        with torch.no_grad():
            for name, values in given.buffers.items():
                buffers[name].copy_(values)
        return given.outcome, list(given.gradient.values())

    def _move_weights(self, train: Any, number: int, draws: Draws, given: WeightPass | None) -> tuple[Outcome, Tensor]:
        """What the pass saw, and the norm of the gradient before clipping."""
        own = self.supernet.weights()
        outcome, averaged = (
            self._weight_pass(train, draws, list(own.values())) if given is None else self._reused_pass(given)
        )
        found: dict[str, Tensor | None] = dict(zip(own, averaged, strict=True))
        for observer in self.observers:
            observer.on_weight_gradient(number, found)
        frozen, fused = frozen_by(self.observers), self.weights.param_groups[0].get("fused")
        for name, weight in own.items():
            gradient = found[name]
            if gradient is not None and name in frozen:
                gradient = gradient.masked_fill(frozen[name], 0.0)
            weight.grad = _laid_out_as(gradient, weight) if fused else gradient
        # Not clipped: the norm is what clipping by an infinite norm returns.
        norm = nn.utils.clip_grad_norm_(own.values(), math.inf if self.grad_clip is None else self.grad_clip)
        for observer in self.observers:
            observer.on_clipped_gradient(number, {name: weight.grad for name, weight in own.items()})
        with held(self.weights, own, frozen):
            self.step_weights()
        self.weights.zero_grad()
        for observer in self.observers:
            observer.on_weights_stepped(number)
        return Outcome(outcome.loss.detach(), outcome.outputs.detach(), outcome.carry), norm

    def inner_step(self) -> InnerStep:
        """What the weight optimizer would do next, for the virtual step of the second order."""
        group = self.weights.param_groups[0]
        buffers = [self.weights.state[weight].get("momentum_buffer") for weight in group["params"]]
        frozen = frozen_by(self.observers)
        return InnerStep(
            lr=group["lr"],
            momentum=group["momentum"],
            weight_decay=group["weight_decay"],
            buffers=None if all(buffer is None for buffer in buffers) else _filled(buffers, group["params"]),
            clip=self.grad_clip if self.supernet.clip_virtual else None,
            radius=self.radius,
            frozen=[frozen.get(name) for name in self.supernet.weights()] if frozen else None,
        )


def _laid_out_as(gradient: Tensor | None, weight: Tensor) -> Tensor | None:
    """The gradient in the memory layout of its weight, for which a fused optimizer takes it without a look."""
    if gradient is None or gradient.stride() == weight.stride():
        return gradient
    return torch.empty_like(weight).copy_(gradient)


def _filled(buffers: Iterable[Tensor | None], weights: Iterable[Tensor]) -> list[Tensor]:
    """Momentum buffers, zero for a weight that has not moved yet."""
    return [
        torch.zeros_like(weight) if buffer is None else buffer for buffer, weight in zip(buffers, weights, strict=True)
    ]


@contextmanager
def scaled_lr(optimizer: torch.optim.Optimizer, factor: float) -> Iterator[None]:
    """Within it all learning rates are `factor` times as large."""
    before = [group["lr"] for group in optimizer.param_groups]
    for group, lr in zip(optimizer.param_groups, before, strict=True):
        group["lr"] = lr * factor
    try:
        yield
    finally:
        for group, lr in zip(optimizer.param_groups, before, strict=True):
            group["lr"] = lr
