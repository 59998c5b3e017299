"""Random crop, flip, normalisation and cutout of a whole batch at once, on any device.

Every sample has its own draws. They are made on the CPU from a generator that the caller names, so
that they are the same whatever device the pixels are on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

#: columns of a table of draws
TOP, LEFT, FLIP, CENTRE_ROW, CENTRE_COLUMN = range(5)


@dataclass(frozen=True)
class Augmentation:
    """What is random about a training image.

    Args:
        crop_padding: zero pixels added on each side before a crop of the old size, >= 0.
        flip: mirror every second image, on average, left to right.
        cutout: side in pixels of the square that is erased after normalisation; 0 erases nothing
            (DeVries and Taylor, 2017).
    """

    crop_padding: int
    flip: bool
    cutout: int = 0

    def draw(self, samples: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """One row of draws per sample, independent and uniform: int64 [samples, 5] on the CPU.

        A row depends only on the rows before it, so that a larger batch begins with the draws of
        a smaller one.
        """
        offsets = 2 * self.crop_padding + 1
        ranges = torch.tensor([offsets, offsets, 2 if self.flip else 1, height, width])
        return (torch.rand(samples, 5, generator=generator) * ranges).long()

    def apply(self, images: Tensor, draws: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Crop, flip, normalise and cut out, in this order.

        Args:
            images: uint8 [B, H, W, C].
            draws: int64 [B, 5] from `draw`, on the device of the images.
            mean, std: float32 [C], in units of the full pixel range.

        Returns:
            float32 [B, C, H, W], channels-last.
        """
        normalized = normalize(crop_and_flip(images, draws, self.crop_padding), mean, std)
        return cut_out(normalized, draws, self.cutout) if self.cutout else normalized


def crop_and_flip(images: Tensor, draws: Tensor, padding: int) -> Tensor:
    """Each image shifted by its own offset, with zero pixels moving in, and mirrored where drawn.

    The same distribution as torchvision's ``RandomCrop(size, padding)`` and
    ``RandomHorizontalFlip``. uint8 [B, H, W, C] -> [B, H, W, C].
    """
    batch, height, width, channels = images.shape
    padded = functional.pad(images, (0, 0, padding, padding, padding, padding))
    # A row of a crop lies in one piece: the gather copies whole rows instead of picking pixels.
    pieces = padded.flatten(2).unfold(2, width * channels, channels)  # [B, rows, offsets, W*C]
    samples = torch.arange(batch, device=images.device)[:, None]
    rows = draws[:, TOP, None] + torch.arange(height, device=images.device)
    cropped = pieces[samples, rows, draws[:, LEFT, None]].view(images.shape)
    return torch.where(draws[:, FLIP, None, None, None] == 1, cropped.flip(2), cropped)


def normalize(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """``(pixel / 255 - mean) / std`` per channel: uint8 [B, H, W, C] -> float32 [B, C, H, W], channels-last."""
    batch, height, width, channels = images.shape
    # By whole rows: an operation over a last dimension of 1 or 3 channels takes many times as long.
    rows = images.reshape(batch, height, width * channels).to(torch.float32)
    rows.div_(255).sub_(mean.repeat(width)).div_(std.repeat(width))
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


def cut_out(images: Tensor, draws: Tensor, side: int) -> Tensor:
    """Zero in a square around each image's drawn centre, clipped at the border; writes into `images`.

    The square covers rows ``centre - side // 2`` up to, not including, ``centre - side // 2 + side``.
    float [B, C, H, W] -> the same tensor.
    """

    def inside(centre: Tensor, length: int) -> Tensor:
        distance = torch.arange(length, device=images.device) - (centre[:, None] - side // 2)
        return (distance >= 0) & (distance < side)

    rows = inside(draws[:, CENTRE_ROW], images.shape[2])
    columns = inside(draws[:, CENTRE_COLUMN], images.shape[3])
    return images.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of uint8 [N, H, W, C], in units of the full pixel range.

    A channel that is constant gets the deviation 1, so that it can be divided by.
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[3]):
        weights = np.bincount(images[..., channel].ravel(), minlength=256) / images[..., channel].size
        mean = float(weights @ values)
        variance = float(weights @ (values - mean) ** 2)
        constant = np.count_nonzero(weights) == 1
        means.append(mean)
        deviations.append(1.0 if constant else variance**0.5)
    return tuple(means), tuple(deviations)
