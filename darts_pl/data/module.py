"""LightningDataModules for small images: paired halves for a search, whole splits for a retraining."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch

from darts_pl.data.augment import Augmentation, channel_statistics
from darts_pl.data.batches import (
    AugmentedBatches,
    OrderedBatches,
    PairedBatches,
    ResidentImages,
    refuse_large_batches,
    refuse_small_batches,
    without_small_rest,
)
from darts_pl.data.images import ImageArrays
from darts_pl.data.loader import BatchLoader
from darts_pl.data.order import IndexOrder, SequentialOrder
from darts_pl.errors import UserError


@dataclass(frozen=True)
class ImageSettings:
    """How images become batches.

    Args:
        batch_size: images per training batch and process.
        eval_batch_size: images per evaluation batch and process.
        seed: order and augmentation are functions of it.
        train_portion: in a search, the fraction of the training split that forms the train half, in
            (0, 1); the rest is the valid half. None in a training.
        crop_padding, flip, cutout: see `Augmentation`.
        mean, std: per channel, in units of the full pixel range; None measures the training split.
        least: fewest images that a training batch may hold per process; see `without_small_rest`.
        batch_size_key: what messages call `batch_size`.

    Raises:
        UserError: if a value makes no sense.
    """

    batch_size: int
    eval_batch_size: int
    seed: int
    crop_padding: int
    flip: bool
    train_portion: float | None = None
    cutout: int = 0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    least: int = 1
    batch_size_key: str = "batch_size"

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("eval_batch_size", 1), ("crop_padding", 0), ("cutout", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name}={getattr(self, name)}: must be {least} or more")
        if self.train_portion is not None and not 0 < self.train_portion < 1:
            raise UserError(
                f"train_portion={self.train_portion}: must lie between 0 and 1, and be neither "
                "(0.5 gives the weights one half of the training images and the alphas the other)"
            )
        if self.std is not None and min(self.std, default=0.0) <= 0:
            raise UserError(f"data.std={list(self.std)}: must be positive for every channel")
        refuse_small_batches(self.batch_size_key, self.batch_size, self.least)


class ImageDataModule(pl.LightningDataModule):
    """What `SearchImages` and `RetrainImages` share: splits on the training device, shares of ranks.

    x is float32 [B, C, H, W], channels-last and normalised, y is int64 [B]; both are on the
    Trainer's device already. Under several ranks each reads its own share; `batch_size` is per
    rank. Without a Trainer: one process, on the CPU.

    Raises:
        UserError: if mean or std do not have one value per channel.
    """

    def __init__(self, images: ImageArrays, settings: ImageSettings) -> None:
        super().__init__()
        self.settings = settings
        mean, std = channel_statistics(images.x_train)
        self.mean = mean if settings.mean is None else tuple(settings.mean)
        self.std = std if settings.std is None else tuple(settings.std)
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != images.channels:
                channels = "1 channel" if images.channels == 1 else f"{images.channels} channels"
                raise UserError(f"data.{name}={list(values)}: the images of {images.origin} have {channels}")
        self._train = _as_tensors(images.x_train, images.y_train)
        self._on_device: ResidentImages | None = None

    def _augmented(self, images: ResidentImages, stream: str, name: str) -> AugmentedBatches:
        settings = self.settings
        rank, world_size = self._ranks()
        refuse_large_batches(
            settings.batch_size_key, settings.batch_size, f"images of the {name}", len(images), world_size
        )
        order = IndexOrder(len(images), settings.batch_size, settings.seed, stream, rank, world_size)
        augmentation = Augmentation(settings.crop_padding, settings.flip, settings.cutout)
        return AugmentedBatches(images, without_small_rest(order, settings.least), augmentation)

    def _ordered(self, images: ResidentImages) -> BatchLoader:
        rank, world_size = self._ranks()
        if len(images) < world_size:
            raise UserError(
                f"{len(images)} images cannot be evaluated by {world_size} processes; use {len(images)} or fewer"
            )
        order = SequentialOrder(len(images), self.settings.eval_batch_size, rank, world_size)
        return BatchLoader(OrderedBatches(images, order))

    def _training_split(self) -> ResidentImages:
        """The training split, moved to the training device when it is first asked for there."""
        device = self._device()
        if self._on_device is None or self._on_device.images.device != device:
            self._on_device = ResidentImages(*self._train, self.mean, self.std, device)
        return self._on_device

    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")

    def _ranks(self) -> tuple[int, int]:
        """(rank, world size)."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)


class SearchImages(ImageDataModule):
    """Paired batches ``{"train": (x, y), "valid": (x, y)}`` from two halves of the training split.

    The halves are cut by index: the first `train_portion` of the images is the train half, the
    rest the valid half. Validation goes through the valid half, unaugmented and in order. The test
    split is not kept, and there is no test dataloader.

    Raises:
        UserError: if a batch is larger than one of the halves.
    """

    def __init__(self, images: ImageArrays, settings: ImageSettings) -> None:
        super().__init__(images, settings)
        size = len(images.x_train)
        #: images of the train half; the others form the valid half
        assert settings.train_portion is not None
        self.train_size = int(settings.train_portion * size)
        for name, half in (("train half", self.train_size), ("valid half", size - self.train_size)):
            what = f"images of the {name} (search.train_portion={settings.train_portion} of {size})"
            refuse_large_batches(settings.batch_size_key, settings.batch_size, what, half)

    def train_dataloader(self) -> BatchLoader:
        """Shuffled, augmented pairs; an epoch is as long as the train half."""
        train, valid = self._halves()
        return BatchLoader(
            PairedBatches(
                self._augmented(train, "train", "train half"),
                self._augmented(valid, "valid", "valid half"),
            )
        )

    def val_dataloader(self) -> BatchLoader:
        """``(x, y)`` of the valid half, unaugmented and in order."""
        return self._ordered(self._halves()[1])

    def _halves(self) -> tuple[ResidentImages, ResidentImages]:
        split = self._training_split()
        return split.part(0, self.train_size), split.part(self.train_size, len(split))


class RetrainImages(ImageDataModule):
    """Batches ``(x, y)`` of the whole training split, and the test split to score once at the end.

    There is no validation dataloader: nothing may be chosen by the test split.

    Raises:
        UserError: if a batch is larger than the training split.
    """

    def __init__(self, images: ImageArrays, settings: ImageSettings) -> None:
        super().__init__(images, settings)
        self._test = _as_tensors(images.x_test, images.y_test)
        what = "images of the training split"
        refuse_large_batches(settings.batch_size_key, settings.batch_size, what, len(images.x_train))

    def train_dataloader(self) -> BatchLoader:
        """Shuffled and augmented."""
        return BatchLoader(self._augmented(self._training_split(), "train", "training split"))

    def test_dataloader(self) -> BatchLoader:
        """The test split, unaugmented and in order."""
        return self._ordered(ResidentImages(*self._test, self.mean, self.std, self._device()))


def _as_tensors(images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Tensors that share the arrays' memory where torch can write to it."""
    return (
        torch.from_numpy(np.require(images, requirements=["C", "W"])),
        torch.from_numpy(np.require(labels, requirements=["C", "W"])),
    )
