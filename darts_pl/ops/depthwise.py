"""Depthwise convolution, with a backward pass that stays on the fast kernels of the CPU.

The CPU library's gradients of a depthwise convolution are fast for filters up to 3 columns wide
without dilation, and 10 to 30 times slower otherwise; its forward pass is fast for all of them.
Every slow case is one of the fast ones in disguise, exactly:

- the input gradient at stride 1 is a convolution of the output gradient with the flipped filter;
- stride 1 with dilation 2 is an undilated convolution of each of the four parity classes of pixels;
- the gradient of a filter of 5 columns is that of its left 3 and of its right 3 columns (likewise rows);
- rows and columns of a filter that can only ever meet the padding have gradient zero.

Other types and second derivatives go through the library. So does a GPU, where its gradients are compared once for
every shape (`darts_pl.ops.cudnn`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from darts_pl.ops import cudnn

#: The widest filter whose gradient is fast.
FAST_COLUMNS = 3
#: On maps of so few rows a filter of 5 rows is slow too.
LOW_MAP = 4


class DepthwiseConv2d(nn.Conv2d):
    """One filter per channel, no bias, padded so that stride 1 keeps the size.

    Args:
        channels: input and output channels.
        kernel: side of the square filter, odd.
        stride: in both directions.
        dilation: in both directions.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            channels,
            channels,
            kernel,
            stride=stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=channels,
            bias=False,
        )

    def forward(self, input: Tensor) -> Tensor:
        """[B, channels, H, W] -> [B, channels, ceil(H / stride), ceil(W / stride)]."""
        kernel, stride, dilation = self.kernel_size[0], self.stride[0], self.dilation[0]
        weight = self.weight
        # A tensor without values ("meta"), on which multiply-adds are counted, knows no autocast.
        if not input.is_meta and input.dtype != torch.float64 and torch.is_autocast_enabled(input.device.type):
            low = torch.get_autocast_dtype(input.device.type)  # what autocast would do within `conv2d`
            input, weight = input.to(low), weight.to(low)
        if _is_opaque(input, weight):
            found: Tensor = torch.ops.darts_pl.depthwise(input, weight, stride, dilation)
            return found
        if not _has_own_gradient(input, weight, kernel, stride, dilation):
            return conv2d(input, weight, None, stride, dilation * (kernel // 2), dilation, self.groups)
        return _Depthwise.apply(input, weight, stride, dilation)


def _has_own_gradient(x: Tensor, weight: Tensor, kernel: int, stride: int, dilation: int) -> bool:
    if not torch.is_grad_enabled() or torch.compiler.is_compiling() or not (x.requires_grad or weight.requires_grad):
        return False
    simple = kernel <= FAST_COLUMNS and dilation == 1
    return cudnn.on_gpu(x) or (not simple and _is_fast_case(x, weight, stride, dilation))


#: Whether a program is made to be exported, which knows torch's own operations only; before torch 2.7 it does not tell.
_is_exporting: Callable[[], bool] = getattr(torch.compiler, "is_exporting", lambda: True)


def _is_opaque(x: Tensor, weight: Tensor) -> bool:
    """Whether code is compiled now that trains: it calls the operation of `darts_pl.ops.opaque`."""
    trains = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return trains and torch.compiler.is_compiling() and not _is_exporting()


def _is_fast_case(x: Tensor, weight: Tensor, stride: int, dilation: int) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.bfloat16)
        and (stride, dilation) in {(1, 1), (2, 1), (1, 2)}
    )


class _Depthwise(torch.autograd.Function):
    """`conv2d` with as many groups as channels and the gradients described above."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        padding = dilation * (weight.shape[-1] // 2)
        return conv2d(x, weight, None, stride, padding, dilation, x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[1])
        if torch.is_grad_enabled():  # a second derivative is asked for
            return *_library_gradient(gradient, x, weight, ctx.stride, ctx.dilation, wanted), None, None
        return *depthwise_gradient(gradient, x, weight, ctx.stride, ctx.dilation, wanted), None, None


def depthwise_gradient(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of a depthwise convolution for its input and its filters, where they are wanted.

    Args:
        gradient: of the output [B, C, H', W'].
        x: input [B, C, H, W].
        weight: filters [C, 1, k, k].
        stride, dilation: of the convolution.
        wanted: of the input, of the filters.
    """
    if cudnn.on_gpu(x):
        return cudnn.compared_once(_library_gradient, (gradient, x, weight), stride, dilation, wanted)
    kernel = weight.shape[-1]
    simple = kernel <= FAST_COLUMNS and dilation == 1
    if simple or not _is_fast_case(x, weight, stride, dilation):
        return _library_gradient(gradient, x, weight, stride, dilation, wanted)
    return _fast_gradient(gradient, x, weight, stride, dilation, wanted)


def _fast_gradient(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    of_input = _input_gradient(gradient, x, weight, stride, dilation) if wanted[0] else None
    of_weight = _weight_gradient(gradient, x, weight, stride, dilation) if wanted[1] else None
    return of_input, of_weight


def _library_gradient(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: int,
    dilation: int,
    wanted: tuple[bool, bool],
    padding: tuple[int, int] | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """The library's gradients of a depthwise convolution, (input, weight)."""
    height, width = (dilation * (size // 2) for size in weight.shape[-2:]) if padding is None else padding
    of_input, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient,
        x,
        weight,
        None,
        [stride, stride],
        [height, width],
        [dilation, dilation],
        False,
        [0, 0],
        x.shape[1],
        [*wanted, False],
    )
    return of_input, of_weight


def _input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    if dilation == 1:
        of_input, _ = _library_gradient(gradient, x, weight, stride, 1, (True, False))
        assert of_input is not None
        return of_input
    padding = dilation * (weight.shape[-1] // 2)
    return conv2d(gradient, weight.flip(2, 3), None, 1, padding, dilation, x.shape[1])


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """[C, 1, k, k], by the cases in the module's docstring."""
    pixels = x.permute(0, 2, 3, 1)
    if dilation == 2:
        pixels, gradient = _by_parity(pixels), _as_maps(_by_parity(gradient.permute(0, 2, 3, 1)))
    radius = weight.shape[-1] // 2
    rows, columns = (min(radius, size - 1) for size in pixels.shape[-3:-1])
    cropped = weight[:, :, radius - rows : radius + rows + 1, radius - columns : radius + columns + 1]
    result = _undilated_weight_gradient(gradient, pixels, cropped, stride)
    if (rows, columns) != (radius, radius):
        result = pad(result, (radius - columns, radius - columns, radius - rows, radius - rows))
    return result


def _undilated_weight_gradient(
    gradient: Tensor, pixels: Tensor, weight: Tensor, stride: int, padding: tuple[int, int] | None = None
) -> Tensor:
    """The gradient of the filters [C, 1, k, k'].

    Args:
        gradient: of the output [N, C, H', W'], N the product of the first sizes of `pixels`.
        pixels: the input [..., H, W, C], which need not be contiguous.
        weight: the filters; their sizes are read.
        stride: of the convolution.
        padding: rows and columns of zeros on either side; None = half of the filter's size.
    """
    rows, columns = weight.shape[-2:]
    height, width = (rows // 2, columns // 2) if padding is None else padding
    if columns == 5:
        dim, rest = 3, (height, 0)
    elif rows == 5 and pixels.shape[-3] <= LOW_MAP:
        dim, rest = 2, (0, width)
    else:
        x = _as_maps(pixels)
        _, of_weight = _library_gradient(gradient, x, weight, stride, 1, (False, True), (height, width))
        assert of_weight is not None
        return of_weight
    part = weight.narrow(dim, 0, 3)
    first, second = (
        _undilated_weight_gradient(gradient, padded, part, stride, rest)
        for padded in _padded_on_either_side(pixels, dim - 5)
    )
    return torch.cat([first, second.narrow(dim, 1, 2)], dim=dim)


def _padded_on_either_side(pixels: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """An input [..., H, W, C] with two rows (`dim` -3) or columns (-2) of zeros at its start, and one with them at its
    end.

    Both are views of one copy: the zeros at the start of one row of pixels are those at the end of the row before.
    """
    shape = list(pixels.shape)
    size = shape[dim]
    rows, width = math.prod(shape[:dim]), math.prod(shape[dim + 1 :])
    shape[dim] += 2
    memory = pixels.new_empty((rows + 1) * (size + 2) * width)  # of the last row, the first two places alone are read
    memory.view(rows + 1, size + 2, width)[:, :2].zero_()
    used = rows * (size + 2) * width
    padded_start, padded_end = memory[:used].view(shape), memory[2 * width : used + 2 * width].view(shape)
    padded_start.narrow(dim, 2, size).copy_(pixels)
    return padded_start, padded_end


def _as_maps(pixels: Tensor) -> Tensor:
    """[..., H, W, C] -> [N, C, H, W], channels-last."""
    return pixels.flatten(0, -4).contiguous().permute(0, 3, 1, 2)


def _by_parity(pixels: Tensor) -> Tensor:
    """Pixels of equal row and column parity together: [B, H, W, C] -> [2, 2, B, ceil(H/2), ceil(W/2), C]."""
    height, width = pixels.shape[1:3]
    if height % 2 or width % 2:
        pixels = pad(pixels, (0, 0, 0, width % 2, 0, height % 2))
    return pixels.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).permute(2, 4, 0, 1, 3, 5)
