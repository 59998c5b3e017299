"""LightningDataModules for photos: paired halves for a search, whole splits for a retraining."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torchvision.transforms import v2

from darts_pl.data.batches import PairedBatches, refuse_large_batches, refuse_small_batches, without_small_rest
from darts_pl.data.loader import BatchLoader
from darts_pl.data.order import IndexOrder, SequentialOrder
from darts_pl.data.photo_batches import PhotoBatches, PhotoDataset
from darts_pl.data.photos import PhotoFolders, PhotoList, stratified_order
from darts_pl.errors import UserError

#: More processes than this do not read faster.
MOST_WORKERS = 8


@dataclass(frozen=True)
class PhotoSettings:
    """How photos become batches.

    Args:
        batch_size: photos per training batch and process.
        eval_batch_size: photos per evaluation batch and process.
        seed: order and augmentation are functions of it.
        mean, std: per channel, in units of the full pixel range.
        train_portion: in a search, the share of the photos that forms the train half, in (0, 1).
        share: of the training photos of each class that are used, in (0, 1].
        size: side of the crop that the network sees, in pixels. Smaller photos are enlarged.
        resize: shorter side before the centre crop of an evaluation, at least `size`.
        crop_scale: smallest share of a photo's area that a random crop covers, in (0, 1].
        flip: mirror every second photo, on average, left to right.
        color_jitter: brightness, contrast, saturation, hue.
        cutout: side in pixels of the square that is erased; 0 erases nothing.
        workers: processes that read photos; None = one a core, at most 8; 0 = none.
        least: fewest photos that a training batch may hold per process; see `without_small_rest`.
        batch_size_key: what messages call `batch_size`.

    Raises:
        UserError: if mean or std do not have three values, or batches are smaller than `least`.
    """

    batch_size: int
    eval_batch_size: int
    seed: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    resize: int
    crop_scale: float
    flip: bool
    color_jitter: tuple[float, ...]
    train_portion: float | None = None
    share: float = 1.0
    cutout: int = 0
    workers: int | None = None
    least: int = 1
    batch_size_key: str = "batch_size"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != PhotoFolders.channels:
                raise UserError(f"data.{name}={list(getattr(self, name))}: photos have 3 channels")
        refuse_small_batches(self.batch_size_key, self.batch_size, self.least)

    def processes(self) -> int:
        """How many processes read photos."""
        if self.workers is not None:
            return self.workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(cores, MOST_WORKERS)

    def training_transform(self) -> Callable[[Any], Any]:
        """Random crop, flip and colours, as the authors' train_imagenet.py has them."""
        steps: list[Any] = [v2.RandomResizedCrop(self.size, scale=(self.crop_scale, 1.0))]
        if self.flip:
            steps.append(v2.RandomHorizontalFlip())
        if any(self.color_jitter):
            brightness, contrast, saturation, hue = self.color_jitter
            steps.append(v2.ColorJitter(brightness, contrast, saturation, hue))
        return v2.Compose(steps)

    def evaluation_transform(self) -> Callable[[Any], Any]:
        """The centre crop of the resized photo."""
        return v2.Compose([v2.Resize(self.resize), v2.CenterCrop(self.size)])


class PhotoDataModule(pl.LightningDataModule):
    """What `SearchPhotos` and `RetrainPhotos` share.

    x is float32 [B, 3, size, size], channels-last and normalised, y is int64 [B]; both are on the
    Trainer's device already. Under several ranks each reads its own share; `batch_size` is per
    rank. Without a Trainer: one process, on the CPU.

    Args:
        photos: the splits.
        settings: how they become batches.
    """

    #: streams of photos that are read at the same time, and share the workers
    streams = 1

    def __init__(self, photos: PhotoFolders, settings: PhotoSettings) -> None:
        super().__init__()
        self.settings = settings
        chosen = stratified_order(photos.train.labels)[: max(round(settings.share * len(photos.train)), 1)]
        self._photos = photos.train.pick(chosen)
        self._open: list[PhotoBatches] = []

    def _augmented(self, photos: PhotoList, stream: str, name: str) -> PhotoBatches:
        rank, world_size = self._ranks()
        size, settings = len(photos), self.settings
        refuse_large_batches(settings.batch_size_key, settings.batch_size, f"photos of the {name}", size, world_size)
        order = IndexOrder(size, settings.batch_size, settings.seed, stream, rank, world_size)
        kept = without_small_rest(order, settings.least)
        return self._batches(PhotoDataset(photos, settings.training_transform()), kept)

    def _ordered(self, photos: PhotoList) -> BatchLoader:
        rank, world_size = self._ranks()
        if len(photos) < world_size:
            raise UserError(f"{len(photos)} photos cannot be evaluated by {world_size} processes; use fewer")
        order = SequentialOrder(len(photos), self.settings.eval_batch_size, rank, world_size)
        return BatchLoader(self._batches(PhotoDataset(photos, self.settings.evaluation_transform()), order))

    def _batches(self, dataset: PhotoDataset, order: IndexOrder | SequentialOrder) -> PhotoBatches:
        settings, processes = self.settings, self.settings.processes()
        batches = PhotoBatches(
            dataset,
            order,
            settings.mean,
            settings.std,
            cutout=settings.cutout,
            workers=-(-processes // self.streams),
            device=self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu"),
        )
        self._open.append(batches)
        return batches

    def _ranks(self) -> tuple[int, int]:
        """(rank, world size)."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def teardown(self, stage: str) -> None:
        """End the workers."""
        while self._open:
            self._open.pop().close()


class SearchPhotos(PhotoDataModule):
    """Paired batches ``{"train": (x, y), "valid": (x, y)}`` from two halves of the training split.

    Both halves hold all classes in proportion, and are the same for every seed. Validation goes
    through the valid half, unaugmented and in order. There is no test dataloader.

    Raises:
        UserError: if a batch is larger than one of the halves.
    """

    streams = 2

    def __init__(self, photos: PhotoFolders, settings: PhotoSettings) -> None:
        super().__init__(photos, settings)
        size = len(self._photos)
        #: photos of the train half; the others form the valid half
        assert settings.train_portion is not None
        self.train_size = int(settings.train_portion * size)
        for name, half in (("train half", self.train_size), ("valid half", size - self.train_size)):
            what = f"photos of the {name} (search.train_portion={settings.train_portion} of {size})"
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

    def _halves(self) -> tuple[PhotoList, PhotoList]:
        indices = torch.arange(len(self._photos)).numpy()
        return self._photos.pick(indices[: self.train_size]), self._photos.pick(indices[self.train_size :])


class RetrainPhotos(PhotoDataModule):
    """Batches ``(x, y)`` of the training split, and the test split to score once at the end.

    Raises:
        UserError: if a batch is larger than the training split.
    """

    def __init__(self, photos: PhotoFolders, settings: PhotoSettings) -> None:
        super().__init__(photos, settings)
        self._test = photos.test
        what = "photos of the training split"
        refuse_large_batches(settings.batch_size_key, settings.batch_size, what, len(self._photos))

    def train_dataloader(self) -> BatchLoader:
        """Shuffled and augmented."""
        return BatchLoader(self._augmented(self._photos, "train", "training split"))

    def test_dataloader(self) -> BatchLoader:
        """The test split, unaugmented and in order."""
        return self._ordered(self._test)
