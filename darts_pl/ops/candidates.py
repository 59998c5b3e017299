"""The built-in candidates, first in the order of the authors' search space, then of other cells and spaces."""

from __future__ import annotations

from torch import nn

from darts_pl.ops.convolutions import (
    FactorizedReduce,
    RectifiedConv,
    ReLUConvBN,
    dilated_conv,
    separable_conv,
    two_step_conv,
)
from darts_pl.ops.edges import EdgeOperation
from darts_pl.ops.noise import Noise
from darts_pl.ops.pooling import Identity, Pool, SmallMaxPool
from darts_pl.ops.registry import candidate


@candidate("max_pool_3x3", parallel=True)
def max_pool_3x3(channels: int, stride: int, affine: bool, edges: int) -> Pool:
    return Pool(nn.MaxPool2d(3, stride=stride, padding=1), channels, not affine, edges)


@candidate("avg_pool_3x3", parallel=True)
def avg_pool_3x3(channels: int, stride: int, affine: bool, edges: int) -> Pool:
    return Pool(nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False), channels, not affine, edges)


@candidate("skip_connect", parallel=True)
def skip_connect(channels: int, stride: int, affine: bool, edges: int) -> EdgeOperation:
    return Identity(edges) if stride == 1 else FactorizedReduce(channels, channels, affine, edges)


@candidate("sep_conv_3x3", parallel=True)
def sep_conv_3x3(channels: int, stride: int, affine: bool, edges: int) -> RectifiedConv:
    return separable_conv(channels, stride, 3, affine, edges)


@candidate("sep_conv_5x5", parallel=True)
def sep_conv_5x5(channels: int, stride: int, affine: bool, edges: int) -> RectifiedConv:
    return separable_conv(channels, stride, 5, affine, edges)


@candidate("dil_conv_3x3", parallel=True)
def dil_conv_3x3(channels: int, stride: int, affine: bool, edges: int) -> RectifiedConv:
    return dilated_conv(channels, stride, 3, affine, edges)


@candidate("dil_conv_5x5", parallel=True)
def dil_conv_5x5(channels: int, stride: int, affine: bool, edges: int) -> RectifiedConv:
    return dilated_conv(channels, stride, 5, affine, edges)


@candidate("sep_conv_7x7", parallel=True)
def sep_conv_7x7(channels: int, stride: int, affine: bool, edges: int) -> RectifiedConv:
    return separable_conv(channels, stride, 7, affine, edges)


@candidate("conv_7x1_1x7", parallel=True)
def conv_7x1_1x7(channels: int, stride: int, affine: bool, edges: int) -> RectifiedConv:
    return two_step_conv(channels, stride, 7, affine, edges)


@candidate("conv_3x1_1x3", parallel=True)
def conv_3x1_1x3(channels: int, stride: int, affine: bool, edges: int) -> RectifiedConv:
    """Of the cell of SETN (Dong and Yang, ICCV 2019)."""
    return two_step_conv(channels, stride, 3, affine, edges)


@candidate("conv_1x1", parallel=True)
def conv_1x1(channels: int, stride: int, affine: bool, edges: int) -> ReLUConvBN:
    """Of the cells of AmoebaNet-B and -D (Real et al., AAAI 2019), as the three below are."""
    return ReLUConvBN(channels, channels, affine, 1, stride, edges)


@candidate("conv_3x3", parallel=True)
def conv_3x3(channels: int, stride: int, affine: bool, edges: int) -> ReLUConvBN:
    return ReLUConvBN(channels, channels, affine, 3, stride, edges)


@candidate("max_pool_2x2", parallel=True)
def max_pool_2x2(channels: int, stride: int, affine: bool, edges: int) -> Pool:
    return Pool(SmallMaxPool(stride), channels, not affine, edges)


@candidate("dil_sep_conv_5x5", parallel=True)
def dil_sep_conv_5x5(channels: int, stride: int, affine: bool, edges: int) -> RectifiedConv:
    return separable_conv(channels, stride, 5, affine, edges, dilation=2)


@candidate("nor_conv_1x1", parallel=True)
def nor_conv_1x1(channels: int, stride: int, affine: bool, edges: int) -> ReLUConvBN:
    return ReLUConvBN(channels, channels, affine, 1, stride, edges)


@candidate("nor_conv_3x3", parallel=True)
def nor_conv_3x3(channels: int, stride: int, affine: bool, edges: int) -> ReLUConvBN:
    return ReLUConvBN(channels, channels, affine, 3, stride, edges)


@candidate("noise")
def noise(channels: int, stride: int, affine: bool) -> Noise:
    """Normal noise, which a search should never prefer: the space S4 of RobustDARTS (Zela et al., ICLR 2020)."""
    return Noise(stride)


@candidate("avg_pool_3x3_plain", parallel=True)
def avg_pool_3x3_plain(channels: int, stride: int, affine: bool, edges: int) -> Pool:
    """Average pooling that no BatchNorm follows in a search either, as in the NAS-Bench-201 space."""
    return Pool(nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False), channels, False, edges)
