"""Photos in folders: which there are."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from darts_pl.data.announce import say, warn
from darts_pl.data.identity import checksum
from darts_pl.data.paths import expand
from darts_pl.errors import UserError

#: Endings of files that are read as photos, those that torchvision's ImageFolder reads.
ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
#: Of so many photos, spread over a split, the content is part of its checksum; of the others name and size.
SAMPLED = 64


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
        root: the folder that all paths begin with.
    """

    train: PhotoList
    test: PhotoList
    class_names: tuple[str, ...]
    origin: str
    root: str = ""

    #: photos are read as RGB
    channels = 3

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Classes, and of each split the count and a checksum of names, sizes, labels and some photos."""
        return {
            "kind": "photos",
            "classes": list(self.class_names),
            "channels": self.channels,
            **{
                split: {"count": len(photos), "content": _checksum(photos, self.root)}
                for split, photos in (("train", self.train), ("test", self.test))
            },
        }


def photo_folders(path: str | None) -> PhotoFolders:
    """The photos in ``path/train/CLASS/`` and ``path/val/CLASS/``; says how many there are.

    Folders and files whose names begin with a dot are passed over. A warning counts the files with
    other endings than those of photos.

    Raises:
        UserError: if a folder is missing or cannot be read, a class folder is empty, the splits have
            different classes, or there is only one class.
    """
    root = Path(expand(path) or "")
    if not path or not root.is_dir():
        raise UserError(
            f"data.path={path}: there is no such folder; it must hold train/ and val/ with a folder per class"
        )
    try:
        return _found(root, path)
    except OSError as error:
        raise UserError(f"data.path={path}: {error.filename} cannot be read ({error.strerror})") from None


def _found(root: Path, path: str) -> PhotoFolders:
    class_names = _class_names(root, path)
    others: Counter[str] = Counter()
    train, test = (_split(root / split, path, class_names, others) for split in ("train", "val"))
    count = f"{len(train):,} photos in train/, {len(test):,} in val/, {len(class_names):,} classes"
    say(f"data.path={path}: {count}")
    if others:
        warn(
            f"data.path={path}: {_count(others.total())} not read ({_listed(others)}); "
            f"photos end in {', '.join(ENDINGS)}"
        )
    return PhotoFolders(train, test, class_names, path, str(root))


def _class_names(root: Path, path: str) -> tuple[str, ...]:
    names: dict[str, list[str]] = {}
    for split in ("train", "val"):
        folder = root / split
        names[split] = sorted(entry.name for entry in folder.iterdir() if _is_class(entry)) if folder.is_dir() else []
        if not names[split]:
            what = "has no folder of photos for each class" if folder.is_dir() else "is missing"
            raise UserError(f"data.path={path}: {split}/ {what}; expected {split}/CLASS/PHOTO.jpg")
    for name in sorted(set(names["train"]) ^ set(names["val"])):
        here, there = ("train", "val") if name in names["train"] else ("val", "train")
        raise UserError(f"data.path={path}: the class {name!r} is in {here}/ but not in {there}/")
    if len(names["train"]) < 2:
        raise UserError(f"data.path={path}: there is only one class, {names['train'][0]!r}; a classifier needs two")
    return tuple(names["train"])


def _is_class(entry: Path) -> bool:
    return not entry.name.startswith(".") and entry.is_dir()


def _split(folder: Path, path: str, class_names: tuple[str, ...], others: Counter[str]) -> PhotoList:
    """The photos of one split by class and name; adds the endings of all other files to `others`."""
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        found, left_out = _photos_below(folder / name)
        if not found:
            holds = f"only {_listed(left_out)}" if left_out else "nothing else"
            raise UserError(
                f"data.path={path}: the class folder {folder.name}/{name}/ holds no photo ({holds}); "
                "fill it, or remove it from both train/ and val/"
            )
        paths += found
        labels += [label] * len(found)
        others += left_out
    outside = sum(1 for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file())
    if outside:
        others["outside the class folders"] += outside
    return PhotoList(tuple(paths), np.array(labels, dtype=np.int64))


def _photos_below(folder: Path) -> tuple[list[str], Counter[str]]:
    """The photos in a folder and its subfolders, sorted, and how many other files have which ending."""

    def stop(error: OSError) -> None:
        raise error

    places = []
    for here, inside, files in os.walk(folder, onerror=stop, followlinks=True):
        inside[:] = [name for name in inside if not name.startswith(".")]
        places.append((here, sorted(name for name in files if not name.startswith("."))))
    found: list[str] = []
    others: Counter[str] = Counter()
    for here, files in sorted(places):
        for name in files:
            if name.lower().endswith(ENDINGS):
                found.append(os.path.join(here, name))
            else:
                others[os.path.splitext(name)[1].lower() or "without an ending"] += 1
    return found, others


def _count(files: int) -> str:
    return "1 file was" if files == 1 else f"{files:,} files were"


def _listed(endings: Counter[str], most: int = 6) -> str:
    ordered = sorted(endings.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[most:])
    return ", ".join(
        [f"{count:,} {ending}" for ending, count in ordered[:most]] + ([f"{rest:,} others"] if rest else [])
    )


def _checksum(photos: PhotoList, root: str) -> str:
    names = "\0".join(path.removeprefix(root).replace(os.sep, "/") for path in photos.paths)
    sizes = np.array([_size(path) for path in photos.paths], dtype="<i8")
    chosen = np.unique(np.linspace(0, len(photos) - 1, min(SAMPLED, len(photos))).astype(int))
    return checksum(names, sizes, photos.labels.astype("<i8"), *(_content(photos.paths[place]) for place in chosen))


def _size(path: str) -> int:
    """In bytes; -1 of a file that is not there."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
