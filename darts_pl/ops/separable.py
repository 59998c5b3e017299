"""A depthwise and a pointwise convolution as one function, which keeps the map between them only where it is small.

Only the gradient of the pointwise filters reads that map. Where it is asked for and the map is not small, the depthwise
convolution is computed again in the backward pass. A BatchNorm and a ReLU before them may be part of the function
(`darts_pl.ops.norm_relu`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from darts_pl.ops import cudnn
from darts_pl.ops.depthwise import DepthwiseConv2d, depthwise_gradient
from darts_pl.ops.edges import BatchNorm
from darts_pl.ops.norm_relu import differentiable_norm_gradient, is_norm_relu, norm_gradient, training_norm
from darts_pl.ops.pointwise import PointwiseConv2d, block_diagonal

_aten = torch.ops.aten
#: A map between the convolutions of at most so many pixels is kept. Computing such a map takes nearly as long as
#: computing a larger one, and after a reduction it has half the bytes.
SMALL_MAP = 64
#: Stride and dilation of the depthwise convolution, groups of the pointwise one.
Settings = tuple[int, int, int]


def is_separable(layers: tuple[nn.Module, ...], x: Tensor) -> bool:
    """Whether the first two or four of these layers, applied to x, may run as one function.

    Args:
        layers: a depthwise and a pointwise convolution, or BatchNorm and ReLU before them; more may follow.
        x: input of the first.
    """
    if is_norm_relu(layers, x):
        layers = layers[2:]
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
    out: Tensor
    out, *_ = _Separable.apply(x, depthwise.weight, pointwise.weight, norm, stride, dilation, pointwise.groups)
    return out


def _depthwise(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    return conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation, x.shape[1])


def _pointwise(x: Tensor, weight: Tensor, groups: int) -> Tensor:
    if groups > 1 and cudnn.on_gpu(x):
        return conv2d(x, block_diagonal(weight, groups))
    return conv2d(x, weight, groups=groups)


class _Separable(torch.autograd.Function):
    """The map behind the convolutions; with a BatchNorm also the normalised map and the inverse of its deviation.

    The last two are results, so that what is kept of them can be differentiated for x once more.
    """

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
    ) -> tuple[Tensor, ...]:
        ctx.settings = stride, dilation, groups
        ctx.set_materialize_grads(False)
        statistics = () if norm is None else training_norm(norm, x)
        y = statistics[0].relu() if statistics else x
        between = _depthwise(y, deep, stride, dilation)
        small = between.shape[2] * between.shape[3] <= SMALL_MAP
        kept = between if ctx.needs_input_grad[2] and small else None
        ctx.save_for_backward(deep, wide, kept, *(statistics or (x,)))
        return _pointwise(between, wide, groups), *statistics

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor | None, of_normalised: Tensor | None = None, of_inverse: Tensor | None = None
    ) -> tuple[Tensor | None, ...]:
        deep, wide, between, before, *statistics = ctx.saved_tensors
        wanted, again = ctx.needs_input_grad[:3], torch.is_grad_enabled()
        of_before = of_deep = of_wide = None
        if gradient is not None:
            arguments = gradient, (before, deep, wide), bool(statistics), ctx.settings, wanted
            found = _differentiable_gradients(*arguments) if again else _gradients(*arguments, between)
            of_before, of_deep, of_wide = found
        if statistics and wanted[0]:
            (inverse,) = statistics
            if of_normalised is not None:
                of_before = of_normalised if of_before is None else of_before + of_normalised
            if again or of_before is None or of_inverse is not None:
                of_before = differentiable_norm_gradient(of_before, before, inverse, of_inverse)
            else:
                of_before = norm_gradient(of_before, before, inverse)
        return of_before, of_deep, of_wide, None, None, None, None


def _gradients(
    gradient: Tensor,
    inputs: tuple[Tensor, Tensor, Tensor],
    rectified: bool,
    settings: Settings,
    wanted: Sequence[bool],
    between: Tensor | None,
) -> list[Tensor | None]:
    """The gradients for what enters the ReLU or, where there is none, the convolutions, and for both filters.

    Args:
        gradient: of the output.
        inputs: what entered, the filters of the depthwise and those of the pointwise convolution.
        rectified: whether there is a ReLU.
        settings: stride, dilation and groups.
        wanted: which of the three gradients.
        between: the map between the convolutions; None = it was not kept.
    """
    before, deep, wide = inputs
    stride, dilation, groups = settings
    y = before.relu() if rectified and (wanted[1] or wanted[2]) else before
    if between is None:  # for the gradient of its input, a convolution reads the input's shape alone
        between = _depthwise(y, deep, stride, dilation) if wanted[2] else gradient
    of_between, of_wide = _pointwise_gradient(gradient, between, wide, groups, wanted[2])
    of_before, of_deep = depthwise_gradient(of_between, y, deep, stride, dilation, (wanted[0], wanted[1]))
    if rectified and of_before is not None:  # nobody else has it: it may be written over
        _aten.threshold_backward.grad_input(of_before, before, 0, grad_input=of_before)
    return [of_before, of_deep, of_wide]


def _differentiable_gradients(
    gradient: Tensor, inputs: tuple[Tensor, Tensor, Tensor], rectified: bool, settings: Settings, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """As `_gradients`, in operations that can be differentiated again."""
    before, deep, wide = inputs
    stride, dilation, groups = settings
    plain = _pointwise(_depthwise(before.relu() if rectified else before, deep, stride, dilation), wide, groups)
    asked = [tensor for tensor, want in zip(inputs, wanted, strict=True) if want]
    found = iter(torch.autograd.grad(plain, asked, gradient, create_graph=True))
    return [next(found) if want else None for want in wanted]


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
