"""Depthwise convolution."""

from __future__ import annotations

from torch import nn


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
