"""The convolutional candidates: ReLU, convolutions without bias, batch normalisation.

Layer positions inside `op` are those of the authors' code, so that published checkpoints load by
name. A depthwise convolution of K edges is one convolution with K*C groups, a pointwise one has
K groups.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from darts_pl.ops.depthwise import DepthwiseConv2d
from darts_pl.ops.edges import BatchNorm, EdgeOperation, NodeOutput
from darts_pl.ops.every_second import every_second
from darts_pl.ops.pointwise import PointwiseConv2d
from darts_pl.ops.separable import is_separable, separable


class RectifiedConv(EdgeOperation):
    """ReLU, then `layers`; the last one is the `BatchNorm` that carries the mixing weights.

    Args:
        edges: K.
        layers: the modules that follow the ReLU.
        every_second: whether they read only every second row and column.
    """

    def __init__(self, edges: int, *layers: nn.Module, every_second: bool = False) -> None:
        super().__init__(edges)
        self.op = nn.Sequential(nn.ReLU(), *layers)
        self.every_second = every_second

    def on_edges(self, node: NodeOutput, scale: Tensor | None = None) -> Tensor:
        x = (node.every_second if self.every_second else node).repeated(self.edges)
        _, *middle, norm = self.op
        while middle:
            if not norm.affine and is_separable(tuple(middle), x):  # a final network keeps the map: it has memory
                count = 4 if isinstance(middle[0], BatchNorm) else 2
                x = separable(tuple(middle[:count]), x)
                del middle[:count]
            else:
                x = middle.pop(0)(x)
        return norm(x, scale)


def separable_conv(
    channels: int, stride: int, kernel: int, affine: bool, edges: int, dilation: int = 1
) -> RectifiedConv:
    """Depthwise separable convolution, applied twice (paper section 3.1.1); the first takes the stride."""
    wide = channels * edges
    first, every_second = _depthwise(wide, kernel, stride, dilation)
    return RectifiedConv(
        edges,
        first,
        PointwiseConv2d(wide, edges),
        BatchNorm(wide, affine),
        nn.ReLU(),
        DepthwiseConv2d(wide, kernel, dilation=dilation),
        PointwiseConv2d(wide, edges),
        BatchNorm(wide, affine),
        every_second=every_second,
    )


def dilated_conv(channels: int, stride: int, kernel: int, affine: bool, edges: int) -> RectifiedConv:
    """Depthwise separable convolution with dilation 2, applied once."""
    wide = channels * edges
    first, every_second = _depthwise(wide, kernel, stride, dilation=2)
    return RectifiedConv(edges, first, PointwiseConv2d(wide, edges), BatchNorm(wide, affine), every_second=every_second)


def _depthwise(wide: int, kernel: int, stride: int, dilation: int) -> tuple[DepthwiseConv2d, bool]:
    """A depthwise convolution, and whether it is to be applied to every second row and column only.

    With a stride and a dilation of 2 it reads no others: applied to them it has neither.
    """
    if stride == dilation == 2:
        return DepthwiseConv2d(wide, kernel), True
    return DepthwiseConv2d(wide, kernel, stride, dilation), False


def two_step_conv(channels: int, stride: int, kernel: int, affine: bool, edges: int) -> RectifiedConv:
    """A convolution of 1 x `kernel` (stride along the width), then one of `kernel` x 1 (stride along the height)."""
    wide, margin = channels * edges, kernel // 2
    return RectifiedConv(
        edges,
        nn.Conv2d(wide, wide, (1, kernel), stride=(1, stride), padding=(0, margin), groups=edges, bias=False),
        nn.Conv2d(wide, wide, (kernel, 1), stride=(stride, 1), padding=(margin, 0), groups=edges, bias=False),
        BatchNorm(wide, affine),
    )


class ReLUConvBN(EdgeOperation):
    """ReLU, dense convolution, BatchNorm.

    All K edges read the same map, so their convolutions are one with K times as many output channels.
    With the default kernel and stride it brings a cell's input to the cell's width.

    Args:
        in_channels: channels of the one input.
        out_channels: channels of each edge's output.
        affine: passed on to the BatchNorm.
        kernel: side of the square filter, odd; the map keeps its size at stride 1.
        stride: in both directions, 1 or 2.
        edges: K.
    """

    def __init__(
        self, in_channels: int, out_channels: int, affine: bool, kernel: int = 1, stride: int = 1, edges: int = 1
    ) -> None:
        super().__init__(edges)
        wide = edges * out_channels
        # With a 1x1 filter the pixels are picked before the convolution; see `FactorizedReduce`.
        self.every_second = kernel == 1 and stride == 2
        step = 1 if self.every_second else stride
        convolution = nn.Conv2d(in_channels, wide, kernel, step, padding=kernel // 2, bias=False)
        self.op = nn.Sequential(nn.ReLU(), convolution, BatchNorm(wide, affine))

    def on_edges(self, node: NodeOutput, scale: Tensor | None = None) -> Tensor:
        _, convolution, norm = self.op
        x = (node.every_second if self.every_second else node).rectified
        return norm(convolution(x), scale)


class FactorizedReduce(EdgeOperation):
    """Halves height and width: two 1x1 convolutions of every second pixel, the second on the map
    shifted by one row and one column, concatenated.

    A map of odd size is padded below and to the right, so that both halves have the size
    ceil(H / 2) x ceil(W / 2). The pixels are picked before the convolutions: the CPU backward pass
    of a 1x1 convolution with stride 2 overruns channels-last maps of few channels (torch 2.14).

    Args:
        in_channels: channels of the one input.
        out_channels: channels of each edge's output.
        affine: passed on to the BatchNorm.
        edges: K.
    """

    def __init__(self, in_channels: int, out_channels: int, affine: bool, edges: int = 1) -> None:
        super().__init__(edges)
        first = out_channels // 2
        self.conv_1 = nn.Conv2d(in_channels, edges * first, 1, bias=False)
        self.conv_2 = nn.Conv2d(in_channels, edges * (out_channels - first), 1, bias=False)
        self.bn = BatchNorm(edges * out_channels, affine)

    def on_edges(self, node: NodeOutput, scale: Tensor | None = None) -> Tensor:
        x = node.raw
        height, width = x.shape[-2:]
        if height % 2 or width % 2:
            x = nn.functional.pad(x, (0, width % 2, 0, height % 2))
        halves = [self.conv_1(node.every_second.rectified), self.conv_2(every_second(x, start=1).relu())]
        if self.edges == 1:
            return self.bn(torch.cat(halves, dim=1), scale)
        by_edge = [half.permute(0, 2, 3, 1).unflatten(3, (self.edges, -1)) for half in halves]
        return self.bn(torch.cat(by_edge, dim=4).flatten(3).permute(0, 3, 1, 2), scale)
