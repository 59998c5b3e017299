"""BatchNorm and ReLU before a convolution, of which the normalised map alone is kept for the backward pass.

Autograd keeps the input of BatchNorm and the output of ReLU. Both gradients can be computed from the map between them.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from darts_pl.ops.edges import BatchNorm

_aten = torch.ops.aten


def is_norm_relu(layers: tuple[nn.Module, ...], x: Tensor) -> bool:
    """Whether the first two of these layers are a BatchNorm without affine part, in training, and a ReLU.

    Args:
        layers: layers in a row.
        x: input of the first.
    """
    if len(layers) < 2:
        return False
    norm, relu = layers[:2]
    return (
        isinstance(norm, BatchNorm)
        and not norm.affine
        and norm.training
        and norm.momentum is not None
        and isinstance(relu, nn.ReLU)
        and x.numel() > x.shape[1]  # one value per channel has no variance: BatchNorm refuses it
    )


def training_norm(norm: BatchNorm, x: Tensor) -> tuple[Tensor, Tensor]:
    """x normalised over the batch, and the inverse of the standard deviation [C]; updates the running statistics."""
    running = norm.running_mean, norm.running_var
    normalised, _, inverse = _aten.native_batch_norm(x, None, None, *running, True, norm.momentum, norm.eps)
    return normalised, inverse


def norm_gradient(gradient: Tensor, normalised: Tensor, inverse: Tensor) -> Tensor:
    """The gradient [B, C, H, W] of what enters a BatchNorm without affine part.

    It is that of a BatchNorm which the normalised map enters, of mean 0 and deviation 1, with `inverse` as its scale.

    Args:
        gradient: of the normalised map [B, C, H, W].
        normalised: the map, as `training_norm` gives it.
        inverse: the inverse of the standard deviation [C].
    """
    # Tensors of a special kind, which only describe a computation, must not be kept for ordinary ones.
    constants = _constants if type(inverse) is Tensor else _constants.__wrapped__
    zeros, ones = constants(inverse.shape[0], inverse.dtype, inverse.device)
    of_input: Tensor = _aten.native_batch_norm_backward(
        gradient, normalised, inverse, None, None, zeros, ones, True, 0.0, [True, False, False]
    )[0]
    return of_input


@cache
def _constants(channels: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.zeros(channels, dtype=dtype, device=device), torch.ones(channels, dtype=dtype, device=device)


def differentiable_norm_gradient(
    gradient: Tensor | None, normalised: Tensor, inverse: Tensor, of_inverse: Tensor | None
) -> Tensor:
    """As `norm_gradient`, in operations that can be differentiated again.

    Args:
        gradient: of the normalised map; None = 0.
        normalised, inverse: see `norm_gradient`.
        of_inverse: the gradient of `inverse` [C]; None = 0.
    """
    dims, shape = (0, 2, 3), (1, -1, 1, 1)
    gradient = torch.zeros_like(normalised) if gradient is None else gradient
    along = (gradient * normalised).mean(dims)
    if of_inverse is not None:  # d inverse / dx = -inverse^2 * normalised / values per channel
        along = along + of_inverse * inverse * (normalised.shape[1] / normalised.numel())
    left = gradient - gradient.mean(dims).view(shape) - normalised * along.view(shape)
    return left * inverse.view(shape)
