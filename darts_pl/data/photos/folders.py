"""Photos in folders: which there are, and which of them are for testing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from darts_pl.data.announce import say, warn
from darts_pl.data.identity import checksum
from darts_pl.data.paths import expand
from darts_pl.data.photos.intact import damaged_photos
from darts_pl.data.splits import hold_out
from darts_pl.errors import UserError

#: Endings of files that are read as photos, those that torchvision's ImageFolder reads.
ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
#: Folders of a test split, the one that is used first: ImageNet's `test` has no labels.
TEST_FOLDERS = ("val", "test")
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
    """A training split and a test split of photos.

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


def photo_folders(
    path: str | None, *, test_fraction: float = 0.2, split_seed: int = 0, leaves_out_damaged: bool = False
) -> PhotoFolders:
    """The photos in a folder with one folder per class; says how many there are.

    ``path/train/CLASS/`` is the training split and ``path/val/CLASS/``, or without it ``path/test/CLASS/``, is the
    test split. Where there is no such pair, the photos of all classes, in ``path/CLASS/`` or ``path/train/CLASS/``,
    are divided by `hold_out`. Folders and files whose names begin with a dot are passed over. A warning counts the
    files with other endings than those of photos.

    Args:
        path: the folder; ``~`` is the home folder.
        test_fraction: of the photos of each class, where they are divided.
        split_seed: chooses them.
        leaves_out_damaged: name and leave out photos that cannot be read, where there are few enough to look.

    Raises:
        UserError: if a folder is missing or cannot be read, a class folder is empty, the splits have
            different classes, or there is only one class.
    """
    root = Path(expand(path) or "")
    if not path or not root.is_dir():
        raise UserError(
            f"data.path={path}: there is no such folder; it must hold a folder of photos per class, or train/ and "
            "val/ with such folders"
        )
    try:
        places = _places(root, path)
        found = _found(root, path, places, leaves_out_damaged)
    except OSError as error:
        raise UserError(f"data.path={path}: {error.filename} cannot be read ({error.strerror})") from None
    return found if len(places) > 1 else _divided(found, test_fraction, split_seed)


def _places(root: Path, path: str) -> tuple[str, ...]:
    """The folders, below the root, of the training and the test split; one where there is no test split."""
    names = {entry.name for entry in root.iterdir() if _is_class(entry)}
    tests = [name for name in TEST_FOLDERS if name in names]
    if "train" in names and tests:
        for other in tests[1:]:
            say(f"data.path={path}: {tests[0]}/ is the test split; {other}/ is not read")
        return "train", tests[0]
    if names == {"train"}:
        return ("train",)
    if any(_holds_folders_alone(root / name) for name in names & {"train", *TEST_FOLDERS}):
        missing = TEST_FOLDERS[0] if "train" in names else "train"
        raise UserError(
            f"data.path={path}: {missing}/ is missing; expected {missing}/CLASS/PHOTO.jpg, or folders of classes alone"
        )
    return ("",)


def _holds_folders_alone(folder: Path) -> bool:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return any(entry.is_dir() for entry in entries) and not any(entry.is_file() for entry in entries)


def _found(root: Path, path: str, places: Sequence[str], leaves_out_damaged: bool) -> PhotoFolders:
    """The photos of one or two splits; one split is also given as the test split."""
    class_names = _class_names(root, path, places)
    others: Counter[str] = Counter()
    splits = [_split(root, place, path, class_names, others) for place in places]
    if others:
        warn(
            f"data.path={path}: {_count(others.total())} not read ({_listed(others)}); "
            f"photos end in {', '.join(ENDINGS)}"
        )
    if leaves_out_damaged:
        splits = _intact(path, class_names, splits)
    if len(places) > 1:
        count = ", ".join(
            f"{len(split):,} {'photos ' if number == 0 else ''}in {place}/"
            for number, (place, split) in enumerate(zip(places, splits, strict=True))
        )
        say(f"data.path={path}: {count}, {len(class_names):,} classes")
    return PhotoFolders(splits[0], splits[-1], class_names, path, str(root))


def _divided(found: PhotoFolders, fraction: float, seed: int) -> PhotoFolders:
    """The same with its training split divided into a training and a test split."""
    train, test = hold_out(found.train.labels, np.arange(len(found.train)), fraction, seed, found.class_names, "photo")
    say(
        f"data.path={found.origin}: {len(found.train):,} photos, {found.classes:,} classes; {len(train):,} photos for "
        f"training, {len(test):,} for testing (every class in proportion; data.test_fraction={fraction:g}, "
        f"data.split_seed={seed})"
    )
    return replace(found, train=found.train.pick(train), test=found.train.pick(test))


def _intact(path: str, class_names: Sequence[str], splits: Sequence[PhotoList]) -> list[PhotoList]:
    """The splits without their damaged photos, each of which a warning names."""
    damaged = damaged_photos([photo for split in splits for photo in split.paths])
    for line in damaged.values():
        warn(f"{line}; it is left out")
    kept = [
        split.pick(np.array([place for place, photo in enumerate(split.paths) if photo not in damaged], dtype=np.int64))
        for split in splits
    ]
    for before, after in zip(splits, kept, strict=True):
        for label in sorted({*before.labels.tolist()} - {*after.labels.tolist()}):
            folder = os.path.dirname(before.paths[int(np.flatnonzero(before.labels == label)[0])])
            raise UserError(f"data.path={path}: every photo of the class {class_names[label]!r} in {folder} is damaged")
    return kept


def _class_names(root: Path, path: str, places: Sequence[str]) -> tuple[str, ...]:
    names: dict[str, list[str]] = {}
    for split in places:
        folder = root / split
        names[split] = sorted(entry.name for entry in folder.iterdir() if _is_class(entry))
        if not names[split]:
            here = f"{split}/ " if split else ""
            raise UserError(
                f"data.path={path}: {here}has no folder of photos for each class; expected "
                f"{split or 'FOLDER'}/CLASS/PHOTO.jpg"
            )
    first, last = places[0], places[-1]
    for name in sorted(set(names[first]) ^ set(names[last])):
        here, there = (first, last) if name in names[first] else (last, first)
        raise UserError(f"data.path={path}: the class {name!r} is in {here}/ but not in {there}/")
    if len(names[first]) < 2:
        raise UserError(f"data.path={path}: there is only one class, {names[first][0]!r}; a classifier needs two")
    return tuple(names[first])


def _is_class(entry: Path) -> bool:
    return not entry.name.startswith(".") and entry.is_dir()


def _split(root: Path, place: str, path: str, class_names: tuple[str, ...], others: Counter[str]) -> PhotoList:
    """The photos of one split by class and name; adds the endings of all other files to `others`."""
    folder = root / place
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        found, left_out = _photos_below(folder / name)
        if not found:
            holds = f"only {_listed(left_out)}" if left_out else "nothing else"
            raise UserError(
                f"data.path={path}: the class folder {f'{place}/' if place else ''}{name}/ holds no photo ({holds}); "
                f"fill it, or remove it{' from both splits' if place else ''}"
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
