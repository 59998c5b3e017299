"""LightningDataModules for photos: paired halves for a search, whole splits for a training."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from torchvision.transforms import v2

from darts_pl.data.batches import Batches
from darts_pl.data.loader import BatchLoader
from darts_pl.data.module import LabelledData, SearchHalves, TrainHalf, WholeSplits
from darts_pl.data.photos.batches import PhotoBatches, PhotoDataset
from darts_pl.data.photos.folders import PhotoFolders, PhotoList
from darts_pl.data.sample_order import EvaluationOrder, IndexOrder
from darts_pl.data.settings import STRATIFIED, Loading, PhotoSettings
from darts_pl.data.splits import index_halves, stratified_halves, stratified_order

#: More processes than this do not read faster.
MOST_WORKERS = 8


def worker_processes(workers: int | None) -> int:
    """How many processes read photos: `workers`, or one per core, at most 8."""
    if workers is not None:
        return workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def training_transform(settings: PhotoSettings) -> Callable[[Any], Any]:
    """Random crop, flip and colours, as the authors' train_imagenet.py has them."""
    steps: list[Any] = [v2.RandomResizedCrop(settings.size, scale=(settings.crop_scale, 1.0))]
    if settings.flip:
        steps.append(v2.RandomHorizontalFlip())
    if any(settings.color_jitter):
        steps.append(v2.ColorJitter(*settings.color_jitter))
    return v2.Compose(steps)


class Crop(Protocol):
    """What an evaluation does with a photo: `resize`, its shorter side before the centre crop, and `size`, that of the
    crop, both in pixels."""

    @property
    def resize(self) -> int | None: ...

    @property
    def size(self) -> int | None: ...


def evaluation_transform(settings: Crop) -> Callable[[Any], Any]:
    """The centre crop of the resized photo."""
    return v2.Compose([v2.Resize(settings.resize), v2.CenterCrop(settings.size)])


class PhotoData(LabelledData[PhotoList]):
    """What `SearchPhotos` and `RetrainPhotos` share: photos that worker processes read.

    Args:
        photos: both splits.
        settings: the section `data`.
        loading: what the task says about batches.

    Raises:
        UserError: if a setting is out of its range.
    """

    noun = "photos"
    settings: PhotoSettings
    #: lists of photos that are read at the same time, and share the workers
    streams = 1

    def __init__(self, photos: PhotoFolders, settings: PhotoSettings, loading: Loading) -> None:
        super().__init__(photos, settings, loading)
        labels = photos.train.labels
        #: which training photos are used, a prefix of the stratified order
        self._chosen = stratified_order(labels)[: max(round(settings.fraction * len(labels)), 1)]
        self._open: list[PhotoBatches] = []

    def _training_batches(self, split: PhotoList, sample_order: IndexOrder) -> Batches:
        return self._batches(PhotoDataset(split, training_transform(self.settings)), sample_order)

    def _evaluation_batches(self, split: PhotoList, sample_order: EvaluationOrder) -> Batches:
        return self._batches(PhotoDataset(split, evaluation_transform(self.settings)), sample_order)

    def _batches(self, dataset: PhotoDataset, sample_order: IndexOrder | EvaluationOrder) -> PhotoBatches:
        batches = PhotoBatches(
            dataset,
            sample_order,
            self.settings.mean,
            self.settings.std,
            cutout=self.loading.cutout,
            workers=-(-worker_processes(self.settings.workers) // self.streams),
            device=self._device(),
        )
        self._open.append(batches)
        return batches

    def teardown(self, stage: str) -> None:
        """End the workers."""
        while self._open:
            self._open.pop().close()


class SearchPhotos(PhotoData, SearchHalves[PhotoList]):
    """Paired batches ``{"train": (x, y), "valid": (x, y)}`` from two halves of the training split.

    A stratified split depends on the names of the files and on `split_seed`; one by index takes the
    first `train_portion` of the photos, sorted by class and name.

    Args:
        photos: both splits; of the test split only the identity is kept.
        settings: the section `data`.
        loading: what the task says about batches.

    Raises:
        UserError: if a setting is out of its range, a half is empty, or a batch is larger than one.
    """

    streams = 2

    def __init__(self, photos: PhotoFolders, settings: PhotoSettings, loading: Loading) -> None:
        super().__init__(photos, settings, loading)
        labels = photos.train.labels
        if settings.split == STRATIFIED:
            order = stratified_order(labels, settings.split_seed)
            halves = stratified_halves(labels, order[np.isin(order, self._chosen)], loading.portion)
            train, valid = halves.train, halves.valid
        else:
            halves = index_halves(len(self._chosen), loading.portion)
            in_order = np.sort(self._chosen)
            train, valid = in_order[halves.train], in_order[halves.valid]
        self._check_halves(photos.class_names, labels[train], labels[valid])
        self._train, self._valid = photos.train.pick(train), photos.train.pick(valid)

    def _halves(self) -> tuple[PhotoList, PhotoList]:
        return self._train, self._valid


class HalfPhotos(TrainHalf[PhotoList], SearchPhotos):
    """Batches ``(x, y)`` of the train half of `SearchPhotos`, and its valid half to score."""

    streams = 1


class RetrainPhotos(PhotoData, WholeSplits[PhotoList]):
    """Batches ``(x, y)`` of the training split, and the test split to score once at the end.

    Args:
        photos: both splits.
        settings: the section `data`.
        loading: what the task says about batches.

    Raises:
        UserError: if a setting is out of its range, or a batch is larger than the training split.
    """

    def __init__(self, photos: PhotoFolders, settings: PhotoSettings, loading: Loading) -> None:
        super().__init__(photos, settings, loading)
        train, valid = self._held_out(photos.train.labels, np.sort(self._chosen), photos.class_names)
        if not loading.valid_fraction:
            train = self._chosen
        self._train, self._valid, self._test = photos.train.pick(train), photos.train.pick(valid), photos.test
        self._check_size(len(self._train))

    def _training_split(self) -> PhotoList:
        return self._train

    def _test_split(self) -> PhotoList:
        return self._test


class ValidatedPhotos(RetrainPhotos):
    """The same with the part that `Loading.valid_fraction` holds out to validate."""

    def val_dataloader(self) -> BatchLoader:
        """The part that is held out, unaugmented and in order."""
        return self._in_order(self._valid)

    @property
    def valid_size(self) -> int:
        """Photos that are held out."""
        return len(self._valid)
