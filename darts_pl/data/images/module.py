"""LightningDataModules for small images: paired halves for a search, whole splits for a training."""

from __future__ import annotations

import numpy as np
import torch

from darts_pl.data.augment import Augmentation, channel_statistics
from darts_pl.data.batches import Batches
from darts_pl.data.images.arrays import ImageArrays
from darts_pl.data.images.batches import AugmentedBatches, OrderedBatches, ResidentImages
from darts_pl.data.loader import BatchLoader
from darts_pl.data.module import LabelledData, SearchHalves, TrainHalf, WholeSplits
from darts_pl.data.sample_order import EvaluationOrder, IndexOrder
from darts_pl.data.settings import STRATIFIED, ImageSettings, Loading
from darts_pl.data.splits import content_order, index_halves, stratified_halves, stratified_order
from darts_pl.errors import UserError


class ImageData(LabelledData[ResidentImages]):
    """What `SearchImages` and `RetrainImages` share: splits on the training device.

    Args:
        images: the data set.
        settings: the section `data`.
        loading: what the task says about batches.

    Raises:
        UserError: if a setting is out of its range, or mean or std do not have one value per channel.
    """

    noun = "images"
    settings: ImageSettings

    def __init__(self, images: ImageArrays, settings: ImageSettings, loading: Loading) -> None:
        super().__init__(images, settings, loading)
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

    def _training_batches(self, split: ResidentImages, sample_order: IndexOrder) -> Batches:
        settings = self.settings
        augmentation = Augmentation(settings.crop_padding, settings.flip, self.loading.cutout)
        return AugmentedBatches(split, sample_order, augmentation)

    def _evaluation_batches(self, split: ResidentImages, sample_order: EvaluationOrder) -> Batches:
        return OrderedBatches(split, sample_order)

    def _training_split(self) -> ResidentImages:
        """The training split, moved to the training device when it is first asked for there."""
        device = self._device()
        if self._on_device is None or self._on_device.images.device != device:
            self._on_device = ResidentImages(*self._train, self.mean, self.std, device)
        return self._on_device


class SearchImages(ImageData, SearchHalves[ResidentImages]):
    """Paired batches ``{"train": (x, y), "valid": (x, y)}`` from two halves of the training split.

    A stratified split depends on the content of the images and on `split_seed`, and not on the order
    in which the images are stored; one by index takes the first `train_portion` of them.

    Args:
        images: the data set; of its test split only the identity is kept.
        settings: the section `data`.
        loading: what the task says about batches.

    Raises:
        UserError: if a setting is out of its range, a half is empty, or a batch is larger than one.
    """

    def __init__(self, images: ImageArrays, settings: ImageSettings, loading: Loading) -> None:
        super().__init__(images, settings, loading)
        labels = images.y_train
        if settings.split == STRATIFIED:
            by_content = content_order(images.x_train, labels)
            order = by_content[stratified_order(labels[by_content], settings.split_seed)]
            halves = stratified_halves(labels, order, loading.portion)
            kept = np.concatenate([halves.train, halves.valid])
            self._train = _as_tensors(images.x_train[kept], labels[kept])
        else:
            halves = index_halves(len(labels), loading.portion)
        #: images of the train half, which come first; the others form the valid half
        self.train_size = len(halves.train)
        self._check_halves(images.class_names, labels[halves.train], labels[halves.valid])

    def _halves(self) -> tuple[ResidentImages, ResidentImages]:
        split = self._training_split()
        return split.part(0, self.train_size), split.part(self.train_size, len(split))


class HalfImages(TrainHalf[ResidentImages], SearchImages):
    """Batches ``(x, y)`` of the train half of `SearchImages`, and its valid half to score."""


class RetrainImages(ImageData, WholeSplits[ResidentImages]):
    """Batches ``(x, y)`` of the whole training split, and the test split to score once at the end.

    Args:
        images: the data set.
        settings: the section `data`.
        loading: what the task says about batches.

    Raises:
        UserError: if a setting is out of its range, or a batch is larger than the training split.
    """

    def __init__(self, images: ImageArrays, settings: ImageSettings, loading: Loading) -> None:
        super().__init__(images, settings, loading)
        self._test = _as_tensors(images.x_test, images.y_test)
        self._valid = self._train
        labels = images.y_train
        if loading.valid_fraction:
            order = content_order(images.x_train, labels)
            train, valid = self._held_out(labels, order, images.class_names)
            self._train = _as_tensors(images.x_train[train], labels[train])
            self._valid = _as_tensors(images.x_train[valid], labels[valid])
        self._check_size(len(self._train[0]))

    def _test_split(self) -> ResidentImages:
        return ResidentImages(*self._test, self.mean, self.std, self._device())


class ValidatedImages(RetrainImages):
    """The same with the part that `Loading.valid_fraction` holds out to validate."""

    def val_dataloader(self) -> BatchLoader:
        """The part that is held out, unaugmented and in order."""
        return self._in_order(ResidentImages(*self._valid, self.mean, self.std, self._device()))

    @property
    def valid_size(self) -> int:
        """Images that are held out."""
        return len(self._valid[0])


def _as_tensors(images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Tensors that share the arrays' memory where torch can write to it."""
    return (
        torch.from_numpy(np.require(images, requirements=["C", "W"])),
        torch.from_numpy(np.require(labels, requirements=["C", "W"])),
    )
