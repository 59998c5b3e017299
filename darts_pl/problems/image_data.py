"""The images that `data` names, small ones in memory or photos in folders, and their data modules."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytorch_lightning as pl

from darts_pl.config import Config
from darts_pl.data import (
    HalfImages,
    HalfPhotos,
    ImageArrays,
    Loading,
    PhotoFolders,
    RetrainImages,
    RetrainPhotos,
    SearchImages,
    SearchPhotos,
    ValidatedImages,
    ValidatedPhotos,
    load,
    photo_folders,
)
from darts_pl.data.loaders import HalfLoaders, LoaderPair, RetrainLoaders, SearchLoaders, loader_pair
from darts_pl.errors import UserError
from darts_pl.spaces import scores_batches

#: Smaller images vanish in the cells that halve them.
SMALLEST_IMAGE = 8

Images = ImageArrays | PhotoFolders | LoaderPair


@lru_cache(maxsize=1)
def _read(kind: str, name: str, path: str | None, layout: str, test_fraction: float, split_seed: int) -> Images:
    """The data set, read once for the tasks of one command."""
    split: dict[str, Any] = {"test_fraction": test_fraction, "split_seed": split_seed}
    if kind == "photos":
        return photo_folders(path, leaves_out_damaged=True, **split)
    return load(name, path, layout, **split)


def load_images(config: Config) -> Images:
    """The data set that `data` names.

    Raises:
        UserError: if it is unknown, missing, malformed, or its images are too small.
    """
    if config.data.kind == "loaders":
        return loader_pair(config.data.path)
    if config.data.kind not in ("images", "photos"):
        raise UserError(f"data={config.data.name}: holds no images; use data=cifar10, npz, imagenet, ...")
    layout = getattr(config.data, "layout", "auto")  # photos have none
    data = config.data
    images = _read(data.kind, data.name, data.path, layout, data.test_fraction, data.split_seed)
    if isinstance(images, ImageArrays) and min(images.height, images.width) < SMALLEST_IMAGE:
        raise UserError(
            f"data: images of {images.height}x{images.width} pixels are too small; "
            f"the networks need {SMALLEST_IMAGE}x{SMALLEST_IMAGE} or more"
        )
    if config.task.name == "search_and_retrain":  # before the search
        _refuse_wide_cutout(config, images)
    return images


def _refuse_wide_cutout(config: Config, images: Images) -> None:
    """Raise UserError for a cutout as wide as the images."""
    _, height, width = image_shape(config, images)
    side = min(height, width)
    if config.train.cutout >= side:
        raise UserError(
            f"train.cutout={config.train.cutout}: erases most of an image of {height}x{width} pixels; "
            f"use train.cutout={side // 2}, half of the side as in the paper, or 0"
        )


def image_shape(config: Config, images: Images) -> tuple[int, int, int]:
    """(channels, height, width) of what a network reads."""
    if isinstance(images, ImageArrays):
        return images.channels, images.height, images.width
    if isinstance(images, LoaderPair):
        return images.shape
    return images.channels, config.data.size, config.data.size


def search_data(config: Config, images: Images, min_batch_size: int = 1) -> pl.LightningDataModule:
    """Paired batches of two halves of the training split.

    Args:
        config: batch size, sizes of the halves, and what `data` says.
        images: the data set.
        min_batch_size: fewest images that a training batch may hold; see `spaces.min_batch_size`.

    Raises:
        UserError: if the data do not fit the settings.
    """
    search = config.search
    loading = _loading(
        config,
        "search",
        train_portion=search.train_portion,
        min_batch_size=min_batch_size,
        mixed_scores=scores_batches(search),
    )
    if isinstance(images, ImageArrays):
        return SearchImages(images, config.data, loading)
    if isinstance(images, LoaderPair):
        return SearchLoaders(images, config.data, loading)
    return SearchPhotos(images, config.data, loading)


def retrain_data(config: Config, images: Images, min_batch_size: int = 1) -> pl.LightningDataModule:
    """The whole training split, and the test split.

    Args:
        config: batch size, cutout, and what `data` says.
        images: the data set.
        min_batch_size: fewest images that a training batch may hold; see `spaces.min_batch_size`.

    Raises:
        UserError: if the data do not fit the settings.
    """
    _refuse_wide_cutout(config, images)
    loading = _loading(
        config,
        "train",
        cutout=config.train.cutout,
        min_batch_size=min_batch_size,
        valid_fraction=config.train.valid_fraction,
    )
    return _retrain_module(config, images, loading)


def half_data(config: Config, images: Images, min_batch_size: int = 1) -> HalfImages | HalfPhotos | HalfLoaders:
    """The two halves of a search, for a training from scratch: the train half trains, the valid half scores.

    Args:
        config: batch size, cutout, sizes of the halves, and what `data` says.
        images: the data set.
        min_batch_size: fewest images that a training batch may hold; see `spaces.min_batch_size`.

    Raises:
        UserError: if the data do not fit the settings.
    """
    _refuse_wide_cutout(config, images)
    portion = config.search.train_portion
    loading = _loading(
        config, "train", train_portion=portion, cutout=config.train.cutout, min_batch_size=min_batch_size
    )
    if isinstance(images, ImageArrays):
        return HalfImages(images, config.data, loading)
    if isinstance(images, LoaderPair):
        return HalfLoaders(images, config.data, loading)
    return HalfPhotos(images, config.data, loading)


def test_data(config: Config, images: Images) -> pl.LightningDataModule:
    """The data module of a test: only its test split is read."""
    return _retrain_module(config, images, Loading(1, config.seed))


def _retrain_module(config: Config, images: Images, loading: Loading) -> pl.LightningDataModule:
    validated = bool(loading.valid_fraction)
    if isinstance(images, ImageArrays):
        return (ValidatedImages if validated else RetrainImages)(images, config.data, loading)
    if isinstance(images, LoaderPair):
        if validated:
            raise UserError("train.valid_fraction: dataloaders are not divided; leave it 0")
        return RetrainLoaders(images, config.data, loading)
    return (ValidatedPhotos if validated else RetrainPhotos)(images, config.data, loading)


def _loading(config: Config, section: str, **others: Any) -> Loading:
    """Batches as `section` ("search" or "train") says, unless `data` does."""
    if config.data.batch_size:
        return Loading(config.data.batch_size, config.seed, "data.batch_size", **others)
    return Loading(getattr(config, section).batch_size, config.seed, f"{section}.batch_size", **others)
