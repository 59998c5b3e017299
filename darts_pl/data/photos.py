"""Photos in folders: which there are, and how one is read."""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from darts_pl.errors import UserError


@dataclass(frozen=True, eq=False)
class PhotoList:
    """Photos and their labels.

    Args:
        paths: of the files.
        labels: int64 [N], values in [0, classes).
    """

    paths: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def pick(self, indices: np.ndarray) -> PhotoList:
        """The photos at `indices`, in that order."""
        return PhotoList(tuple(self.paths[index] for index in indices), self.labels[indices])


@dataclass(frozen=True, eq=False)
class PhotoFolders:
    """A training split and a test split of photos, as they lie in ``train/`` and ``val/``.

    Args:
        train, test: the photos of both splits.
        class_names: the names of the class folders.
        origin: where they are, for messages.
    """

    train: PhotoList
    test: PhotoList
    class_names: tuple[str, ...]
    origin: str

    #: photos are read as RGB
    channels = 3

    @property
    def classes(self) -> int:
        return len(self.class_names)


def photo_folders(path: str | None) -> PhotoFolders:
    """The photos in ``path/train/CLASS/`` and ``path/val/CLASS/``.

    Raises:
        UserError: if a folder is missing or cannot be read, a class folder is empty, the splits have
            different classes, or there is only one class.
    """
    root = Path(path or "").expanduser()
    if not path or not root.is_dir():
        raise UserError(
            f"data.path={path}: there is no such folder; it must hold train/ and val/ with a folder a class"
        )
    try:
        return _found(root, path)
    except OSError as error:
        raise UserError(f"data.path={path}: {error.filename} cannot be read ({error.strerror})") from None


def _found(root: Path, path: str) -> PhotoFolders:
    splits = {}
    names: dict[str, list[str]] = {}
    for split in ("train", "val"):
        folder = root / split
        names[split] = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
        if not names[split]:
            what = "has no folder of photos for each class" if folder.is_dir() else "is missing"
            raise UserError(f"data.path={path}: {split}/ {what}; expected {split}/CLASS/PHOTO.jpg")
    for name in sorted(set(names["train"]) ^ set(names["val"])):
        here, there = ("train", "val") if name in names["train"] else ("val", "train")
        raise UserError(f"data.path={path}: the class {name!r} is in {here}/ but not in {there}/")
    if len(names["train"]) < 2:
        raise UserError(f"data.path={path}: there is only one class, {names['train'][0]!r}; a classifier needs two")
    for split in ("train", "val"):
        found = ImageFolder(str(root / split), allow_empty=True)
        labels = np.array([label for _, label in found.samples], dtype=np.int64)
        for label in np.flatnonzero(np.bincount(labels, minlength=len(found.classes)) == 0):
            raise UserError(
                f"data.path={path}: the class folder {split}/{found.classes[label]}/ holds no photo; "
                "fill it, or remove it from both train/ and val/"
            )
        splits[split] = PhotoList(tuple(file for file, _ in found.samples), labels)
    return PhotoFolders(splits["train"], splits["val"], tuple(names["train"]), str(path))


def stratified_order(labels: np.ndarray) -> np.ndarray:
    """A fixed shuffle of the samples such that every prefix holds all classes in proportion.

    Args:
        labels: int64 [N].

    Returns:
        int64 [N], the same for every seed of a run: a share of the photos, and the halves of a
        search, are prefixes of it.
    """
    shuffle = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).numpy()
    shuffled = labels[shuffle]
    by_class = np.argsort(shuffled, kind="stable")
    counts = np.bincount(shuffled)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(labels))
    rank[by_class] = np.arange(len(labels)) - starts[shuffled[by_class]]
    return shuffle[np.argsort((rank + 0.5) / counts[shuffled], kind="stable")]


class BrokenPhotoError(Exception):
    """A file that is no readable photo. The message names it."""


def read_photo(path: str) -> Image.Image:
    """The photo in RGB, whatever its file holds: grey, palette, CMYK, transparency, 16 bits.

    Raises:
        BrokenPhotoError: if the file is missing, truncated or no image.
    """
    try:
        with warnings.catch_warnings(), Image.open(path) as photo:
            warnings.simplefilter("ignore")  # a large photo, odd metadata: nothing that a user must act on
            photo.load()
            return _as_rgb(photo)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise BrokenPhotoError(f"{path}: not a readable photo ({' '.join(str(error).split())[:120]})") from None


def _as_rgb(photo: Image.Image) -> Image.Image:
    if photo.mode == "RGB":
        return photo.copy()
    if photo.mode.startswith("I"):  # 16-bit grey; Pillow would clip it at 255
        return Image.fromarray((np.asarray(photo, dtype=np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    return photo.convert("RGB")
