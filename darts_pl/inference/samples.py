"""The images that a command names: one photo, a folder of photos, the arrays of a file."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from darts_pl.data.images.npz import read_images
from darts_pl.data.photos.folders import ENDINGS
from darts_pl.data.photos.reading import BrokenPhotoError
from darts_pl.errors import UserError
from darts_pl.inference.classifier import BATCH, ImageClassifier, Prediction

#: Names of arrays of images in a file, the first that is there counts. The last is that of files for data=npz.
ARRAYS = ("images", "x", "x_test")
#: Photos that are read at the same time.
READERS = 4


@dataclass(frozen=True)
class Answer:
    """What became of one image.

    Args:
        sample: the photo's path inside the folder, or the number of an image in an array.
        prediction: what the network says; None where the photo cannot be read.
        reason: why it cannot.
    """

    sample: str
    prediction: Prediction | None
    reason: str = ""


class Samples:
    """The images that a path names, and what a classifier says about them.

    Args:
        path: a photo, a folder with photos in it and its subfolders, or a file of ``numpy.savez``.
        key: that names the path, for messages.

    Raises:
        UserError: if there is no such path, or the folder holds no photo.
    """

    def __init__(self, path: Path, key: str = "input") -> None:
        self.path, self.key = path, key
        self._photos: list[Path] = []
        self._array = ""
        if not path.exists():
            raise UserError(f"{key}={path}: there is no such file or folder")
        if path.is_dir():
            self._photos = _photos_below(path)
            if not self._photos:
                raise UserError(f"{key}={path}: holds no photo; photos end in {', '.join(ENDINGS)}")
        elif not self.is_file_of_arrays:
            self._photos = [path]

    @property
    def is_file_of_arrays(self) -> bool:
        """Whether the images are arrays in a file."""
        return self.path.suffix.lower() == ".npz"

    def answers(self, classifier: ImageClassifier) -> tuple[int, Iterator[Answer]]:
        """How many images there are, and what the classifier says about each, in order.

        Raises:
            UserError: if the file holds no arrays, or images that the network does not read.
        """
        if self.is_file_of_arrays:
            name, values = read_images(self.path, ARRAYS, self.key)
            pixels = classifier.preparation.arrays(values, f"{self.key}={self.path}: {name}")
            return len(pixels), _of_arrays(classifier, pixels)
        return len(self._photos), self._of_photos(classifier)

    def _of_photos(self, classifier: ImageClassifier) -> Iterator[Answer]:
        def read(photo: Path) -> Tensor | BrokenPhotoError:
            try:
                return classifier.preparation.file(photo)
            except BrokenPhotoError as error:
                return error

        with ThreadPoolExecutor(READERS) as readers:
            for start in range(0, len(self._photos), BATCH):
                photos = self._photos[start : start + BATCH]
                found = list(readers.map(read, photos))
                whole = [one for one in found if isinstance(one, Tensor)]
                predictions = iter(classifier.predictions(torch.stack(whole)) if whole else ())
                for photo, one in zip(photos, found, strict=True):
                    if isinstance(one, Tensor):
                        yield Answer(self._name(photo), next(predictions))
                    else:
                        yield Answer(self._name(photo), None, str(one))

    def _name(self, photo: Path) -> str:
        return photo.name if photo == self.path else photo.relative_to(self.path).as_posix()


def _of_arrays(classifier: ImageClassifier, pixels: Tensor) -> Iterator[Answer]:
    for start in range(0, len(pixels), BATCH):
        for place, prediction in enumerate(classifier.predictions(pixels[start : start + BATCH]), start=start):
            yield Answer(str(place), prediction)


def _photos_below(folder: Path) -> list[Path]:
    """The photos in a folder and its subfolders by name; what begins with a dot is passed over."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    return sorted(
        path
        for path in found
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
