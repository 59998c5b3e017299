"""Every second row and column of a map: all that a stride of 2 reads of it in a 1x1 or in a dilated convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def every_second(x: Tensor, start: int = 0) -> Tensor:
    """Every second row and column of x [B, C, H, W], a copy in channels-last memory.

    Args:
        x: maps.
        start: the first row and the first column, 0 or 1.
    """
    if x.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        found: Tensor = _EverySecond.apply(x, start)
        return found
    return _picked(x, start)


def _picked(x: Tensor, start: int) -> Tensor:
    picked = x.permute(0, 2, 3, 1)[:, start::2, start::2].clone(memory_format=torch.contiguous_format)
    return picked.permute(0, 3, 1, 2)


class _EverySecond(torch.autograd.Function):
    """In its gradient a map is filled with zeros and written once; that of slices in two directions does both twice."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, start: int) -> Tensor:
        return _picked(x, start)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        x, ctx.start = inputs
        ctx.shape = x.shape

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        of_input = gradient.new_zeros([ctx.shape[index] for index in (0, 2, 3, 1)]).permute(0, 3, 1, 2)
        of_input[:, :, ctx.start :: 2, ctx.start :: 2] = gradient
        return of_input, None
