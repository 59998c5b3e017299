"""An operation of one's own: a 3x3 convolution behind a gate that each channel computes from its mean."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from darts_pl.ops import candidate


class GatedConvolution(nn.Module):
    """ReLU, 3x3 convolution, BatchNorm, and a factor in (0, 1) for each channel."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # [B, C, H, W] -> [B, C, H / stride, W / stride]
        x = self.norm(self.convolution(x.relu()))
        return x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))


@candidate("gated_conv_3x3")
def gated_conv_3x3(channels: int, stride: int, affine: bool) -> nn.Module:
    return GatedConvolution(channels, stride, affine)
