"""What moves the weights and the architecture parameters of a search."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from darts_pl.bilevel.passes import device_of
from darts_pl.spaces import Supernet


@dataclass(frozen=True)
class WeightRecipe:
    """SGD for the weights, with a cosine schedule per epoch from `lr` to `lr_min`.

    Args:
        lr, lr_min: learning rate at the start and at the end.
        momentum: momentum.
        weight_decay: L2.
        grad_clip: largest norm of the gradient; None = not clipped.
        epochs: of the schedule.
        nesterov: whether the momentum is Nesterov's. The virtual step always uses plain momentum, as
            the published code does.
        warmup_epochs: first epochs, in which a factor of the schedule rises in equal steps to 1.
    """

    lr: float
    lr_min: float
    momentum: float
    weight_decay: float
    grad_clip: float | None
    epochs: int
    nesterov: bool = False
    warmup_epochs: int = 0

    def optimizer(self, supernet: Supernet, capturable: bool = False) -> torch.optim.SGD:
        """The optimizer of a supernet's weights.

        Args:
            supernet: the network.
            capturable: whether the learning rate is a tensor, which a kernel reads on the device. Every step then calls
                the same operations with the same numbers, as a CUDA graph of it demands.
        """
        return torch.optim.SGD(
            supernet.weights().values(),
            _on_device(self.lr, supernet) if capturable else self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            foreach=not capturable,  # one call for all tensors, also on the CPU
            fused=capturable,
        )


@dataclass(frozen=True)
class AlphaRecipe:
    """Adam with L2 weight decay for the architecture parameters.

    Args:
        lr: learning rate.
        betas: decay rates of the two moments.
        weight_decay: L2.
        grad_clip: largest norm of the gradient, of all architecture parameters together; None = not clipped.
    """

    lr: float
    betas: tuple[float, float]
    weight_decay: float
    grad_clip: float | None = None

    def optimizer(self, supernet: Supernet, capturable: bool = False) -> torch.optim.Adam:
        """The optimizer of a supernet's architecture parameters.

        Args:
            supernet: the network.
            capturable: whether the learning rate and the number of the step are tensors; see `WeightRecipe.optimizer`.
        """
        return torch.optim.Adam(
            supernet.architecture().values(),
            _on_device(self.lr, supernet) if capturable else self.lr,
            betas=self.betas,
            weight_decay=self.weight_decay,
            fused=capturable or None,
        )


def _on_device(value: float, supernet: Supernet) -> Tensor:
    return torch.tensor(value, device=device_of(supernet))
