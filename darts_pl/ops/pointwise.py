"""A 1x1 convolution of K edges at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from darts_pl.ops import cudnn


class PointwiseConv2d(nn.Conv2d):
    """K convolutions of one pixel side by side, without bias: as many groups as edges.

    CUDA's library runs the groups of such a convolution one after the other and copies each of them. There, one
    dense convolution with a block-diagonal filter gives the same numbers with far fewer kernels.

    Args:
        channels: input and output channels of all edges together.
        edges: K; it divides `channels`.
    """

    def __init__(self, channels: int, edges: int) -> None:
        super().__init__(channels, channels, 1, groups=edges, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """[B, channels, H, W] -> [B, channels, H, W]."""
        if self.groups == 1 or not cudnn.on_gpu(input):
            return super().forward(input)
        return conv2d(input, block_diagonal(self.weight, self.groups))


def block_diagonal(weight: Tensor, groups: int) -> Tensor:
    """The filter [out, in, 1, 1] of the convolution without groups that equals one with groups.

    Args:
        weight: [out, in / groups, 1, 1], the filter of the convolution with groups.
        groups: how many; they divide `out` and `in`.
    """
    blocks = weight.view(groups, -1, 1, weight.shape[1])
    own = torch.eye(groups, dtype=weight.dtype, device=weight.device).view(groups, 1, groups, 1)
    return (blocks * own).reshape(weight.shape[0], groups * weight.shape[1], 1, 1)
