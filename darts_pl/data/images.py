"""Small labelled images in memory, and the registry of sources they come from."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darts_pl.errors import UserError


@dataclass(frozen=True, eq=False)
class ImageArrays:
    """A training split and a test split of images that all have one size.

    Args:
        x_train, x_test: uint8 [N, H, W, C].
        y_train, y_test: int64 [N], values in [0, classes).
        class_names: one name per class.
        origin: where they come from, for messages.

    Raises:
        UserError: if shapes, counts or labels do not fit each other, or a split is empty.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    origin: str = "images"

    def __post_init__(self) -> None:
        for split, images, labels in (("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)):
            assert images.dtype == np.uint8
            assert labels.dtype == np.int64
            if images.ndim != 4 or labels.ndim != 1:
                raise UserError(
                    f"{self.origin}: x_{split} has shape {images.shape} and y_{split} {labels.shape}; "
                    "expected [N, H, W, C] and [N]"
                )
            if 0 in images.shape:
                raise UserError(f"{self.origin}: x_{split} is empty, its shape is {images.shape}")
            if len(images) != len(labels):
                raise UserError(
                    f"{self.origin}: x_{split} has {len(images)} images but y_{split} {len(labels)} labels; "
                    "give one label per image"
                )
            _check_labels(self.origin, f"y_{split}", labels, self.classes)
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise UserError(
                f"{self.origin}: training images are {self.x_train.shape[1:]} and test images "
                f"{self.x_test.shape[1:]} [H, W, C]; both must have one size"
            )

    @property
    def height(self) -> int:
        return int(self.x_train.shape[1])

    @property
    def width(self) -> int:
        return int(self.x_train.shape[2])

    @property
    def channels(self) -> int:
        return int(self.x_train.shape[3])

    @property
    def classes(self) -> int:
        return len(self.class_names)


def _check_labels(origin: str, key: str, labels: np.ndarray, classes: int) -> None:
    if labels.min() < 0:
        raise UserError(f"{origin}: {key} holds the label {labels.min()}; labels count from 0")
    if classes < 2:
        raise UserError(f"{origin}: there is only {classes} class; a classifier needs two or more")
    if labels.max() >= classes:
        raise UserError(
            f"{origin}: {key} holds the label {labels.max()}; with {classes} classes labels go from 0 to {classes - 1}"
        )


Source = Callable[[str | None], ImageArrays]
_SOURCES: dict[str, Source] = {}


def source(name: str) -> Callable[[Source], Source]:
    """Register a function from ``data.path`` (or None) to `ImageArrays` as ``data=<name>``.

    Example::

        @source("fashion")
        def fashion(path: str | None) -> ImageArrays: ...
    """

    def register(function: Source) -> Source:
        assert name not in _SOURCES, f"the image source {name!r} is registered twice"
        _SOURCES[name] = function
        return function

    return register


def sources() -> tuple[str, ...]:
    """The registered names."""
    return tuple(_SOURCES)


def load(name: str, path: str | None = None) -> ImageArrays:
    """The images of a registered source.

    Args:
        name: one of `sources`.
        path: a file or folder, where the source needs one.

    Raises:
        UserError: if there is no such source, or it cannot read its files.
    """
    if name not in _SOURCES:
        raise UserError(f"unknown image source {name!r}; known: {', '.join(_SOURCES)}")
    return _SOURCES[name](path)


@source("digits")
def digits(path: str | None = None) -> ImageArrays:
    """1,797 handwritten digits, 8x8 grey, that scikit-learn bundles; every fifth of a class is a test image."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    test = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        test[np.flatnonzero(labels == label)[4::5]] = True
    return ImageArrays(
        x_train=images[~test],
        y_train=labels[~test],
        x_test=images[test],
        y_test=labels[test],
        class_names=tuple(str(label) for label in range(10)),
        origin="digits",
    )


@source("cifar10")
def cifar10(path: str | None = None) -> ImageArrays:
    """CIFAR-10: 50,000 + 10,000 colour images of 32x32, downloaded into the folder `path` on first use."""
    return _torchvision_cifar("cifar10", "CIFAR10", path)


@source("cifar100")
def cifar100(path: str | None = None) -> ImageArrays:
    """CIFAR-100: 50,000 + 10,000 colour images of 32x32, downloaded into the folder `path` on first use."""
    return _torchvision_cifar("cifar100", "CIFAR100", path)


def cache_folder() -> Path:
    """Where downloads go unless ``data.path`` says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "darts_pl"


def _torchvision_cifar(name: str, class_name: str, path: str | None) -> ImageArrays:
    import torchvision.datasets

    dataset = getattr(torchvision.datasets, class_name)
    folder = Path(path).expanduser() if path else cache_folder()
    try:
        train = dataset(str(folder), train=True, download=True)
        test = dataset(str(folder), train=False)
    except (OSError, RuntimeError, EOFError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"data={name}: not found in {folder}, and the download failed ({reason})\n"
            f"put {dataset.filename} from {dataset.url} into that folder, or set data.path"
        ) from None
    return ImageArrays(
        x_train=train.data,
        y_train=np.asarray(train.targets, dtype=np.int64),
        x_test=test.data,
        y_test=np.asarray(test.targets, dtype=np.int64),
        class_names=tuple(train.classes),
        origin=name,
    )
