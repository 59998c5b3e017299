"""Small labelled images in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from darts_pl.data.identity import checksum
from darts_pl.errors import UserError


@dataclass(frozen=True, eq=False)
class ImageArrays:
    """A training split and a test split of images that all have one size.

    Args:
        x_train, x_test: uint8 [N, H, W, C].
        y_train, y_test: int64 [N], values in [0, classes).
        class_names: one name per class.
        origin: where they come from, for messages.
        named: whether the classes have names; otherwise `class_names` are their numbers.

    Raises:
        UserError: if shapes, counts or labels do not fit each other, or a split is empty.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    origin: str = "images"
    named: bool = True

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

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Classes, shape, and of each split the count and a checksum; see `describe`."""
        return {
            "kind": "images",
            "classes": list(self.class_names),
            "channels": self.channels,
            "height": self.height,
            "width": self.width,
            **{
                split: {"count": len(images), "content": checksum(np.ascontiguousarray(images), labels.astype("<i8"))}
                for split, images, labels in (
                    ("train", self.x_train, self.y_train),
                    ("test", self.x_test, self.y_test),
                )
            },
        }

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
