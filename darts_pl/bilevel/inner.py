"""One step of the weight optimizer, as the virtual step of the second order needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: The mean over ranks of a list of tensors (in one flat buffer); the identity on one rank.
Mean = Callable[[list[Tensor]], list[Tensor]]


def identity_mean(tensors: list[Tensor]) -> list[Tensor]:
    """The mean over one rank."""
    return tensors


@dataclass(frozen=True)
class InnerStep:
    """What SGD would do next: ``w' = w - lr * (momentum * buffer + c * gradient + weight_decay * w)``.

    Args:
        lr: the weight optimizer's current learning rate, xi in the paper's equation 6; a scalar tensor where the
            optimizer is capturable.
        momentum: its momentum.
        weight_decay: its L2 weight decay.
        buffers: its momentum buffers in the order of the weights; None before the first step.
        clip: largest gradient norm of the virtual step's gradient and of the vector v, before
            weight decay is added; None = not clipped (the authors clip in recurrent search only).
        radius: of the central difference: eps = radius / ||v|| (paper section 2.3 and its footnote);
            None for orders without one.
        frozen: for each weight where it does not move, bool, or None; None = every weight moves.
    """

    lr: float | Tensor
    momentum: float = 0.0
    weight_decay: float = 0.0
    buffers: Sequence[Tensor] | None = None
    clip: float | None = None
    radius: float | None = None
    frozen: Sequence[Tensor | None] | None = None

    def moving(self, tensors: list[Tensor]) -> list[Tensor]:
        """The tensors, one for each weight, with 0 where the weight does not move."""
        if self.frozen is None:
            return tensors
        pairs = zip(tensors, self.frozen, strict=True)
        return [tensor if mask is None else tensor.masked_fill(mask, 0.0) for tensor, mask in pairs]

    def moved(self, weights: list[Tensor], gradient: list[Tensor]) -> tuple[list[Tensor], Tensor | None]:
        """The weights after the step, and the clip coefficient (None if nothing is clipped).

        Args:
            weights: w.
            gradient: of the training loss with respect to w, without weight decay.
        """
        moved, _, coefficient = self.stepped(weights, gradient)
        return moved, coefficient

    def stepped(
        self, weights: list[Tensor], gradient: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor], Tensor | None]:
        """As `moved`, with the momentum buffers after the step as the second result."""
        clipped, coefficient = clip_by_norm(self.moving(gradient), self.clip)
        direction = list(torch._foreach_add(clipped, weights, alpha=self.weight_decay))
        if self.buffers is not None and self.momentum:
            torch._foreach_add_(direction, list(self.buffers), alpha=self.momentum)
        direction = self.moving(direction)
        return descended(weights, direction, self.lr), direction, coefficient


def descended(tensors: list[Tensor], direction: list[Tensor], size: float | Tensor) -> list[Tensor]:
    """Each tensor minus `size` times its direction; a scalar tensor as size stays on its device."""
    if isinstance(size, Tensor):
        return list(torch._foreach_sub(tensors, torch._foreach_mul(direction, size)))
    return list(torch._foreach_add(tensors, direction, alpha=-size))


def total_norm(tensors: list[Tensor]) -> Tensor:
    """Euclidean norm of all tensors together, a scalar tensor."""
    return torch.nn.utils.get_total_norm(tensors)


def clip_by_norm(tensors: list[Tensor], largest: float | None) -> tuple[list[Tensor], Tensor | None]:
    """New tensors scaled by min(1, largest / (norm + 1e-6)), and that coefficient.

    The constant is that of `torch.nn.utils.clip_grad_norm_`.
    """
    if largest is None:
        return tensors, None
    coefficient = (largest / (total_norm(tensors) + 1e-6)).clamp(max=1.0)
    return list(torch._foreach_mul(tensors, coefficient)), coefficient
