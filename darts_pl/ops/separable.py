"""A depthwise and a pointwise convolution as one function, which does not keep the map between them.

Only the gradient of the pointwise filters reads that map. Where it is asked for, the depthwise convolution is computed
again in the backward pass. A BatchNorm and a ReLU before them may be part of the function (`norm_relu_depthwise`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d

from darts_pl.ops import cudnn
from darts_pl.ops.depthwise import DepthwiseConv2d, depthwise_gradient, strided
from darts_pl.ops.edges import BatchNorm
from darts_pl.ops.norm_relu_depthwise import (
    is_norm_relu_depthwise,
    norm_relu_gradient,
    rectified_again,
    training_norm,
)
from darts_pl.ops.pointwise import PointwiseConv2d, block_diagonal

_aten = torch.ops.aten


def is_separable(layers: tuple[nn.Module, ...], x: Tensor) -> bool:
    """Whether the first two or four of these layers, applied to x, may run as one function.

    Args:
        layers: a depthwise and a pointwise convolution, or BatchNorm and ReLU before them; more may follow.
        x: input of the first.
    """
    if len(layers) >= 4 and is_norm_relu_depthwise(layers[:3], x):
        return type(layers[3]) is PointwiseConv2d
    return (
        len(layers) >= 2
        and isinstance(layers[0], DepthwiseConv2d)
        and isinstance(layers[1], PointwiseConv2d)
        and torch.is_grad_enabled()
        and x.requires_grad
        and not torch.is_autocast_enabled(x.device.type)
        and not torch.compiler.is_compiling()
    )


def separable(layers: tuple[nn.Module, ...], x: Tensor) -> Tensor:
    """The layers that `is_separable` names, applied to x [B, C, H, W].

    Args:
        layers: two or four.
        x: channels-last.
    """
    norm = layers[0] if isinstance(layers[0], BatchNorm) else None
    depthwise, pointwise = layers[-2:]
    assert isinstance(depthwise, DepthwiseConv2d)
    assert isinstance(pointwise, PointwiseConv2d)
    stride, dilation = depthwise.stride[0], depthwise.dilation[0]
    if norm is None:  # which reads all pixels
        x, stride, dilation = strided(x, stride, dilation)
    return _Separable.apply(x, depthwise.weight, pointwise.weight, norm, stride, dilation, pointwise.groups)


def _depthwise(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    return conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation, x.shape[1])


def _pointwise(x: Tensor, weight: Tensor, groups: int) -> Tensor:
    if groups > 1 and cudnn.on_gpu(x):
        return conv2d(x, block_diagonal(weight, groups))
    return conv2d(x, weight, groups=groups)


class _Separable(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        deep: Tensor,
        wide: Tensor,
        norm: BatchNorm | None,
        stride: int,
        dilation: int,
        groups: int,
    ) -> Tensor:
        ctx.settings, ctx.eps = (stride, dilation, groups), None if norm is None else norm.eps
        if norm is None:
            ctx.save_for_backward(x, deep, wide)
            y = x
        else:
            y, mean, inverse = training_norm(norm, x)
            ctx.save_for_backward(x, deep, wide, mean, inverse)
            y = y.relu_()
        return _pointwise(_depthwise(y, deep, stride, dilation), wide, groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (gradient,) = gradients
        x, deep, wide, *statistics = ctx.saved_tensors
        wanted, (stride, dilation, groups) = ctx.needs_input_grad[:3], ctx.settings
        if torch.is_grad_enabled():  # a second derivative is asked for
            y = batch_norm(x, None, None, None, None, True, 0.0, ctx.eps).relu() if statistics else x
            plain = _pointwise(_depthwise(y, deep, stride, dilation), wide, groups)
            asked = [tensor for tensor, want in zip((x, deep, wide), wanted, strict=True) if want]
            found = iter(torch.autograd.grad(plain, asked, gradient, create_graph=True))
            return *(next(found) if want else None for want in wanted), None, None, None, None
        y = rectified_again(x, *statistics) if statistics else x
        # For the gradient of its input, a convolution reads the input's shape alone.
        between = _depthwise(y, deep, stride, dilation) if wanted[2] else gradient
        of_between, of_wide = _pointwise_gradient(gradient, between, wide, groups, wanted[2])
        of_y, of_deep = depthwise_gradient(of_between, y, deep, stride, dilation, (wanted[0], wanted[1]))
        if of_y is None or not statistics:
            return of_y, of_deep, of_wide, None, None, None, None
        of_x = norm_relu_gradient(of_y, y, x, statistics, ctx.eps)
        return of_x, of_deep, of_wide, None, None, None, None


def _pointwise_gradient(
    gradient: Tensor, x: Tensor, weight: Tensor, groups: int, of_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """The gradients of a pointwise convolution for its input and, where asked for, its filters."""
    dense = groups > 1 and cudnn.on_gpu(x)
    filters = block_diagonal(weight, groups) if dense else weight
    settings = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1 if dense else groups)
    of_x, found, _ = _aten.convolution_backward(gradient, x, filters, None, *settings, [True, of_weight, False])
    if dense and of_weight:
        blocks = found.view(groups, -1, groups, weight.shape[1]).diagonal(dim1=0, dim2=2)  # [out, in, groups]
        found = blocks.permute(2, 0, 1).reshape(weight.shape)
    return of_x, found
