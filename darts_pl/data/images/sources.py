"""The registry of image data sets, and those that need no file of the user's own."""

from __future__ import annotations

import importlib.util
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from darts_pl.data.images.arrays import ImageArrays
from darts_pl.data.paths import expand
from darts_pl.data.settings import AUTO
from darts_pl.errors import UserError
from darts_pl.registry import Registry

#: From ``data.path`` (or None) to images; one whose arrays may lie in several layouts takes `layout` too.
Source = Callable[..., ImageArrays]

IMAGE_SOURCES: Registry[Source] = Registry("image data set")


def register_source(name: str) -> Callable[[Source], Source]:
    """Register a function from ``data.path`` (or None) to `ImageArrays` as ``data=<name>``.

    Example::

        @register_source("fashion")
        def fashion(path: str | None) -> ImageArrays: ...

    Raises:
        UserError: if the name is no identifier, or another function has it.
    """
    return IMAGE_SOURCES.register(name)


def list_sources() -> tuple[str, ...]:
    """The registered names."""
    return IMAGE_SOURCES.list()


def load(name: str, path: str | None = None, layout: str = AUTO, **split: Any) -> ImageArrays:
    """The images of a registered source.

    Args:
        name: one of `list_sources`.
        path: a file or folder, where the source needs one; ``~`` is the home folder.
        layout: of the arrays in the file: "auto", "nhwc" or "nchw".
        split: `test_fraction` and `split_seed`, for sources that divide data without a test split.

    Raises:
        UserError: if there is no such source, it cannot read its files, or it has a layout of its own.
    """
    read = IMAGE_SOURCES.get(name)
    takes = inspect.signature(read).parameters
    options = {key: value for key, value in split.items() if key in takes}
    if "layout" in takes:
        return read(expand(path), layout=layout, **options)
    if layout != AUTO:
        raise UserError(f"data.layout={layout}: data={name} has a layout of its own; leave data.layout={AUTO}")
    return read(expand(path), **options)


@register_source("digits")
def digits(path: str | None = None) -> ImageArrays:
    """1,797 handwritten digits, 8x8 grey, that scikit-learn bundles; every fifth of a class is a test image."""
    pixels, labels = _bundled_digits()
    images = np.rint(pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
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


def _bundled_digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels [1797, 64] from 0 to 16, and labels [1797] in int64.

    The file of scikit-learn is read without importing scikit-learn, which takes as long as half of torch's import.
    """
    package = importlib.util.find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            table = np.loadtxt(file, delimiter=",")
            return table[:, :-1], table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits  # its file lies elsewhere

    bunch = load_digits()
    return bunch.data, bunch.target.astype(np.int64)


@register_source("cifar10")
def cifar10(path: str | None = None) -> ImageArrays:
    """CIFAR-10: 50,000 + 10,000 colour images of 32x32, downloaded into the folder `path` on first use."""
    return _torchvision_cifar("cifar10", "CIFAR10", path)


@register_source("cifar100")
def cifar100(path: str | None = None) -> ImageArrays:
    """CIFAR-100: 50,000 + 10,000 colour images of 32x32, downloaded into the folder `path` on first use."""
    return _torchvision_cifar("cifar100", "CIFAR100", path)


def cache_folder() -> Path:
    """Where downloads go unless ``data.path`` says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "darts_pl"


def _torchvision_cifar(name: str, class_name: str, path: str | None) -> ImageArrays:
    import torchvision.datasets

    dataset = getattr(torchvision.datasets, class_name)
    folder = Path(path) if path else cache_folder()
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
