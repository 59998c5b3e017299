"""Batches of images that live on the training device, as functions of (epoch, position)."""

from __future__ import annotations

import torch
from torch import Tensor

from darts_pl.data.augment import Augmentation, normalize
from darts_pl.data.batches import Batch
from darts_pl.data.sample_order import EvaluationOrder, IndexOrder


class ResidentImages:
    """A split of images that stays on one device as a single uint8 tensor.

    Args:
        images: uint8 [N, H, W, C].
        labels: int64 [N].
        mean, std: per channel, in units of the full pixel range.
        device: where the batches are wanted.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device | str = "cpu",
    ) -> None:
        assert images.dtype == torch.uint8
        assert len(images) == len(labels)
        self.images, self.labels = images.to(device), labels.to(device)
        self.mean = torch.tensor(mean, dtype=torch.float32, device=device)
        self.std = torch.tensor(std, dtype=torch.float32, device=device)

    def part(self, begin: int, end: int) -> ResidentImages:
        """Images `begin` to `end`, not including it; shares memory with this split."""
        part = object.__new__(ResidentImages)
        part.images, part.labels = self.images[begin:end], self.labels[begin:end]
        part.mean, part.std = self.mean, self.std
        return part

    def __len__(self) -> int:
        return len(self.images)


class AugmentedBatches:
    """Shuffled, augmented batches ``(x float32 [B, C, H, W], y int64 [B])`` for training.

    Draws are made for the global batch and each rank takes its rows, so R ranks with batches of B
    see the same pixels as one process with batches of R * B.
    """

    def __init__(self, images: ResidentImages, sample_order: IndexOrder, augmentation: Augmentation) -> None:
        assert sample_order.size == len(images)
        self.images, self.sample_order, self.augmentation = images, sample_order, augmentation

    def __len__(self) -> int:
        return self.sample_order.batches

    def __call__(self, epoch: int, index: int, /) -> Batch:
        order, split = self.sample_order, self.images
        _, height, width, _ = split.images.shape
        draws = self.augmentation.draw(order.global_size(index), height, width, order.generator(epoch, index))
        table = torch.cat([order.indices(epoch, index)[:, None], draws[order.rank_slice(index)]], dim=1)
        table = table.to(split.images.device, non_blocking=True)
        picked, draws = table[:, 0], table[:, 1:]
        return self.augmentation.apply(split.images[picked], draws, split.mean, split.std), split.labels[picked]


class OrderedBatches:
    """The same batches ``(x, y)`` in every epoch, without augmentation, for evaluation."""

    def __init__(self, images: ResidentImages, sample_order: EvaluationOrder) -> None:
        self.images, self.sample_order = images, sample_order

    def __len__(self) -> int:
        return self.sample_order.batches

    def __call__(self, epoch: int, index: int, /) -> Batch:
        split = self.images
        picked = self.sample_order.indices(index).to(split.images.device, non_blocking=True)
        return normalize(split.images[picked], split.mean, split.std), split.labels[picked]
