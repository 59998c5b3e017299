"""Batches of images that live on the training device, as functions of (round, position)."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from darts_pl.data.augment import Augmentation, normalize
from darts_pl.data.order import IndexOrder, SequentialOrder
from darts_pl.errors import UserError

Batch = tuple[Tensor, Tensor]


class Batches(Protocol):
    """A pure function from (round, position) to a batch, and how many positions a round has.

    Whatever has this form (images here; text, or photos read by worker processes) can be paired
    by `PairedBatches` and iterated and resumed by `BatchLoader`.
    """

    def __len__(self) -> int: ...

    def __call__(self, round: int, i: int, /) -> Any: ...


def without_small_rest(order: IndexOrder, least: int) -> IndexOrder:
    """The same order without a last batch of fewer than `least` samples per rank.

    Args:
        order: whose last batch may be partial; its full batches hold `least` or more.
        least: 2 where BatchNorm reads maps of 1x1, which it averages over the batch alone.
    """
    if order.global_size(order.batches - 1) // order.world_size < least:
        order.batches -= 1
    return order


def refuse_small_batches(key: str, batch_size: int, least: int) -> None:
    """Raise UserError, naming `key`, if batches hold fewer than `least` samples."""
    if batch_size < least:
        raise UserError(
            f"{key}={batch_size}: must be at least {least} here: BatchNorm reads maps of 1x1 in this network"
        )


def refuse_large_batches(key: str, batch_size: int, what: str, size: int, world_size: int = 1) -> None:
    """Raise UserError if a batch of every process together is more than there is.

    Args:
        key: what the message calls `batch_size`.
        batch_size: samples per batch and process.
        what: samples, and of what.
        size: how many there are.
        world_size: number of processes.
    """
    if batch_size * world_size > size:
        processes = f" in each of {world_size} processes" if world_size > 1 else ""
        remedy = f"lower it to {size // world_size} or less" if size >= world_size else "it needs more of them"
        raise UserError(f"{key}={batch_size}{processes} is more than the {size} {what}; {remedy}")


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

    def __init__(self, images: ResidentImages, order: IndexOrder, augmentation: Augmentation) -> None:
        assert order.size == len(images)
        self.images, self.order, self.augmentation = images, order, augmentation

    def __len__(self) -> int:
        return self.order.batches

    def __call__(self, round: int, i: int, /) -> Batch:
        order, split = self.order, self.images
        _, height, width, _ = split.images.shape
        draws = self.augmentation.draw(order.global_size(i), height, width, order.generator(round, i))
        table = torch.cat([order.indices(round, i)[:, None], draws[order.share(i)]], dim=1)
        table = table.to(split.images.device, non_blocking=True)
        picked, draws = table[:, 0], table[:, 1:]
        return self.augmentation.apply(split.images[picked], draws, split.mean, split.std), split.labels[picked]


class OrderedBatches:
    """The same batches ``(x, y)`` in every round, in order and without augmentation, for evaluation."""

    def __init__(self, images: ResidentImages, order: SequentialOrder) -> None:
        self.images, self.order = images, order

    def __len__(self) -> int:
        return self.order.batches

    def __call__(self, round: int, i: int, /) -> Batch:
        split = self.images
        picked = self.order.indices(i).to(split.images.device, non_blocking=True)
        return normalize(split.images[picked], split.mean, split.std), split.labels[picked]


class PairedBatches:
    """What a search step reads: ``{"train": batch, "valid": batch}``.

    A round (an epoch) is as long as the train half. The valid half is indexed by the number of
    batches before this one, n = epoch * length + i, so it goes through rounds of its own and is
    reshuffled at the start of each.
    """

    def __init__(self, train: Batches, valid: Batches) -> None:
        self.train, self.valid = train, valid

    def __len__(self) -> int:
        return len(self.train)

    def __call__(self, round: int, i: int, /) -> dict[str, Any]:
        valid_round, position = divmod(round * len(self) + i, len(self.valid))
        return {"train": self.train(round, i), "valid": self.valid(valid_round, position)}
