"""The depthwise convolution as operations into which torch.compile does not look.

A compiler knows the library's gradients of a convolution alone, which for depthwise ones are slow on the CPU and need a
check on a GPU. Compiled code calls these operations instead, which call `darts_pl.ops.depthwise`. They are
differentiated once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from darts_pl.ops.depthwise import depthwise_gradient


@torch.library.custom_op("darts_pl::depthwise", mutates_args=())
def depthwise(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """The convolution of x [B, C, H, W] with one filter per channel [C, 1, k, k]."""
    return _convolved(x, weight, stride, dilation)


@torch.library.custom_op("darts_pl::depthwise_backward", mutates_args=())
def depthwise_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int, of_input: bool, of_weight: bool
) -> tuple[Tensor, Tensor]:
    """Its gradients for x and the filters; one that is not wanted is empty."""
    found = depthwise_gradient(gradient, x, weight, stride, dilation, (of_input, of_weight))
    # In the layouts that `_of_backward` promises: the code behind relies on them.
    return _laid_out(found[0], x), _laid_out(found[1], weight)


def _convolved(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    return conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation, x.shape[1])


def _laid_out(gradient: Tensor | None, like: Tensor) -> Tensor:
    if gradient is None:
        return like.new_empty(0)
    return gradient if gradient.stride() == like.stride() else torch.empty_like(like).copy_(gradient)


def _of_forward(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    return _convolved(x, weight, stride, dilation)


def _of_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int, of_input: bool, of_weight: bool
) -> tuple[Tensor, Tensor]:
    return _promised(x, of_input), _promised(weight, of_weight)


def _promised(like: Tensor, wanted: bool) -> Tensor:
    return torch.empty_like(like) if wanted else like.new_empty(0)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, ctx.stride, ctx.dilation = inputs
    ctx.save_for_backward(x, weight)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
    x, weight = ctx.saved_tensors
    wanted = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
    found = depthwise_backward(gradient, x, weight, ctx.stride, ctx.dilation, *wanted)
    of_input, of_weight = (one if want else None for one, want in zip(found, wanted, strict=True))
    return of_input, of_weight, None, None


depthwise.register_fake(_of_forward)
depthwise_backward.register_fake(_of_backward)
depthwise.register_autograd(_backward, setup_context=_keep)
