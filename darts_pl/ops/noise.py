"""A candidate that ignores its input."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Noise(nn.Module):
    """Independent draws of N(0, 1) for every element, from the global generator of the input's device.

    Args:
        stride: 1, or 2 for a map of half the size.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Noise [B, C, ceil(H / stride), ceil(W / stride)] for a map [B, C, H, W]."""
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride])
