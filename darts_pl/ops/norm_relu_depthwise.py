"""BatchNorm, ReLU and a depthwise convolution as one function, which keeps only what enters it.

Autograd keeps the input of BatchNorm and the output of ReLU. The latter is the former, normalised and cut off:
here it is computed again in the backward pass, from the input and the statistics of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d

from darts_pl.ops.depthwise import DepthwiseConv2d, depthwise_gradient
from darts_pl.ops.edges import BatchNorm

_aten = torch.ops.aten


def is_norm_relu_depthwise(layers: tuple[nn.Module, ...], x: Tensor) -> bool:
    """Whether these layers, applied to x, may run as one function.

    Args:
        layers: three layers in a row, or fewer.
        x: input of the first.
    """
    if len(layers) < 3:
        return False
    norm, relu, convolution = layers
    return (
        isinstance(norm, BatchNorm)
        and not norm.affine
        and norm.training
        and norm.momentum is not None
        and isinstance(relu, nn.ReLU)
        and isinstance(convolution, DepthwiseConv2d)
        and torch.is_grad_enabled()
        and x.requires_grad
        and x.numel() > x.shape[1]  # one value per channel has no variance: BatchNorm refuses it
        and not torch.is_autocast_enabled(x.device.type)
        and not torch.compiler.is_compiling()
    )


def norm_relu_depthwise(norm: nn.Module, convolution: nn.Module, x: Tensor) -> Tensor:
    """The convolution of the rectified, normalised x [B, C, H, W]; updates the running statistics.

    Args:
        norm: a `BatchNorm` without affine part, in training.
        convolution: a `DepthwiseConv2d`.
        x: channels-last.
    """
    assert isinstance(norm, BatchNorm)
    assert isinstance(convolution, DepthwiseConv2d)
    return _NormReluDepthwise.apply(x, convolution.weight, norm, convolution.stride[0], convolution.dilation[0])


def _convolved(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    return conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation, x.shape[1])


def training_norm(norm: BatchNorm, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x normalised over the batch, the mean, and the inverse of the standard deviation; updates the running ones."""
    running = norm.running_mean, norm.running_var
    y, mean, inverse = _aten.native_batch_norm(x, None, None, *running, True, norm.momentum, norm.eps)
    return y, mean, inverse


def rectified_again(x: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """ReLU of x, normalised by statistics that `training_norm` gave."""
    y, _, _ = _aten.native_batch_norm(x, None, None, mean, inverse.pow(-2), False, 0.0, 0.0)
    rectified: Tensor = y.relu_()
    return rectified


def norm_relu_gradient(
    gradient: Tensor, rectified: Tensor, x: Tensor, statistics: Sequence[Tensor], eps: float
) -> Tensor:
    """The gradient [B, C, H, W] of x through a BatchNorm without affine part and a ReLU.

    Args:
        gradient: of the rectified map [B, C, H, W]; it is overwritten, and the caller must not use it afterwards.
        rectified: the map [B, C, H, W], as `rectified_again` gives it.
        x: what was normalised [B, C, H, W].
        statistics: mean and inverse of the standard deviation, [C] each, as `training_norm` gave them.
        eps: of the norm.
    """
    _aten.threshold_backward.grad_input(gradient, rectified, 0, grad_input=gradient)
    before: Tensor = _aten.native_batch_norm_backward(
        gradient, x, None, None, None, *statistics, True, eps, [True, False, False]
    )[0]
    return before


class _NormReluDepthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, norm: BatchNorm, stride: int, dilation: int) -> Tensor:
        y, mean, inverse = training_norm(norm, x)
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.eps, ctx.stride, ctx.dilation = norm.eps, stride, dilation
        return _convolved(y.relu_(), weight, stride, dilation)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (gradient,) = gradients
        x, weight, mean, inverse = ctx.saved_tensors
        wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[1])
        if torch.is_grad_enabled():  # a second derivative is asked for
            y = batch_norm(x, None, None, None, None, True, 0.0, ctx.eps).relu()
            plain = _convolved(y, weight, ctx.stride, ctx.dilation)
            asked = [tensor for tensor, want in zip((x, weight), wanted, strict=True) if want]
            found = iter(torch.autograd.grad(plain, asked, gradient, create_graph=True))
            return *(next(found) if want else None for want in wanted), None, None, None
        y = rectified_again(x, mean, inverse)
        of_y, of_weight = depthwise_gradient(gradient, y, weight, ctx.stride, ctx.dilation, (wanted[0], wanted[1]))
        if of_y is None:
            return None, of_weight, None, None, None
        return norm_relu_gradient(of_y, y, x, (mean, inverse), ctx.eps), of_weight, None, None, None
