"""The user's own images: one .npz file of plain arrays, read with pickling off."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from darts_pl.data.announce import say
from darts_pl.data.images.arrays import ImageArrays
from darts_pl.data.images.layout import with_channels_last
from darts_pl.data.images.sources import register_source
from darts_pl.data.settings import AUTO
from darts_pl.data.splits import content_order, hold_out
from darts_pl.errors import UserError

REQUIRED = ("x_train", "y_train", "x_test", "y_test")
#: Of a file without a test split, which is then divided.
PLAIN = (("x_train", "y_train"), ("x", "y"))
#: More are a mistake, such as identifiers in place of labels.
MOST_CLASSES = 2**20


@register_source("npz")
def npz(path: str | None, layout: str = AUTO, test_fraction: float = 0.2, split_seed: int = 0) -> ImageArrays:
    """The arrays of a file that ``numpy.savez`` wrote.

    Keys: `x_train`, `x_test` [N, H, W], [N, H, W, C] or [N, C, H, W], uint8 (or floats in [0, 1],
    stored as uint8 from here on); `y_train`, `y_test` integers [N] that count from 0; optionally
    `class_names`, strings [classes]. A file without a test split, with `x_train` and `y_train` or with `x` and `y`
    alone, is divided by `hold_out`, and a line says so.

    Args:
        path: the file.
        layout: of arrays with channels, see `with_channels_last`.
        test_fraction: of the images of each class, where they are divided.
        split_seed: chooses them.

    Raises:
        UserError: if the file is missing, broken or holds something else.
    """
    if not path:
        raise UserError("data=npz reads your own arrays: set data.path=FILE.npz")
    file = Path(path)
    arrays = _read(file)
    keys = _keys(arrays)
    x, y = _images(file, keys[0], arrays[keys[0]], layout), _labels(file, keys[1], arrays[keys[1]])
    names = _class_names(file, arrays.get("class_names"), y, keys[1])
    if len(keys) == 2:
        return _divided(ImageArrays(x, y, x, y, names, str(file), "class_names" in arrays), test_fraction, split_seed)
    return ImageArrays(
        x_train=x,
        y_train=y,
        x_test=_images(file, "x_test", arrays["x_test"], layout),
        y_test=_labels(file, "y_test", arrays["y_test"]),
        class_names=names,
        origin=str(file),
        named="class_names" in arrays,
    )


def _divided(whole: ImageArrays, fraction: float, seed: int) -> ImageArrays:
    """The same with its training split divided into a training and a test split."""
    images, labels = whole.x_train, whole.y_train
    train, test = hold_out(labels, content_order(images, labels), fraction, seed, whole.class_names)
    say(
        f"data.path={whole.origin}: {len(images):,} images, {whole.classes:,} classes; {len(train):,} images for "
        f"training, {len(test):,} for testing (every class in proportion; data.test_fraction={fraction:g}, "
        f"data.split_seed={seed})"
    )
    return ImageArrays(
        images[train], labels[train], images[test], labels[test], whole.class_names, whole.origin, whole.named
    )


def _keys(found: Iterable[str]) -> tuple[str, ...]:
    """The keys of images and labels that are read; those of a complete file where there is none."""
    present = set(found)
    if not present & {"x_test", "y_test"}:
        for keys in PLAIN:
            if present.issuperset(keys):
                return keys
    return REQUIRED


def read_images(file: Path, names: Sequence[str], key: str) -> tuple[str, np.ndarray]:
    """The name and the values of the array in a file that holds one, or of the first of `names` in it.

    Args:
        file: that ``numpy.savez`` wrote.
        names: of arrays with images.
        key: that names the file, for messages.

    Raises:
        UserError: if the file cannot be read, or holds several arrays and none of `names`.
    """
    try:
        stream = file.open("rb")
    except OSError as error:
        raise UserError(f"{key}={file}: cannot be read ({error.strerror or error})") from None
    with stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in `_read`
        with _open_archive(file, stream) as archive:
            found = [name for name in names if name in archive.files] or archive.files
            if len(archive.files) != 1 and found[:1] not in [[name] for name in names]:
                held = _printable(", ".join(archive.files[:8])) or "nothing"
                raise UserError(f"{key}={file}: holds {held}; name the array of images {names[0]!r}")
            return found[0], _read_key(file, archive, found[0])


def _read(file: Path) -> dict[str, np.ndarray]:
    if file.is_dir():
        raise UserError(f"data.path={file}: is a folder; name the .npz file in it")
    if not file.is_file():
        raise UserError(f"data.path={file}: there is no such file")
    try:
        stream = file.open("rb")
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error})") from None
    with stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what numpy says of damaged headers; the error that follows names the array
        with _open_archive(file, stream) as archive:
            keys = _keys(archive.files)
            missing = [key for key in keys if key not in archive.files]
            if missing:
                found = _printable(", ".join(archive.files[:8])) or "nothing"
                raise UserError(f"{file}: {', '.join(missing)} missing; the file holds {found}")
            return {key: _read_key(file, archive, key) for key in (*keys, "class_names") if key in archive.files}


def _open_archive(file: Path, stream: BinaryIO) -> Any:
    try:
        archive = np.load(stream, allow_pickle=False)
    except Exception as error:  # zipfile and numpy raise whatever the damaged place makes them stumble over
        # zipfile raises a RuntimeError for files that it cannot read: an unknown compression, an encrypted member.
        reason = f" ({_reason(error)})" if isinstance(error, RuntimeError) else ""
        raise UserError(f"{file}: not an npz file, or a truncated one{reason}; write it with numpy.savez") from None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise UserError(f"{file}: holds a single array; write {', '.join(REQUIRED)} with numpy.savez")
    return archive


def _read_key(file: Path, archive: Any, key: str) -> np.ndarray:
    try:
        array = archive[key]
    except MemoryError:
        raise UserError(f"{file}: {key} does not fit into memory") from None
    except Exception as error:  # as above
        if "allow_pickle" in str(error):
            raise UserError(
                f"{file}: {key} holds pickled Python objects, which are not loaded because they can run code; "
                "store a plain array of numbers (class_names: an array of strings)"
            ) from None
        raise UserError(f"{file}: {key} is damaged ({_reason(error)}); write the file again") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{file}: {key} is not a numpy array; write the file with numpy.savez")
    return array


def _reason(error: Exception) -> str:
    """The error in a few printable words."""
    return _printable(" ".join(str(error).split()))[:120] or type(error).__name__


def _printable(text: str) -> str:
    """The text without line breaks and what a terminal cannot show."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _images(file: Path, key: str, array: np.ndarray, layout: str) -> np.ndarray:
    """uint8 [N, H, W, C]."""
    if array.ndim not in (3, 4):
        raise UserError(f"{file}: {key} has shape {array.shape}; expected [N, H, W] or [N, H, W, C]")
    if array.size == 0:
        raise UserError(f"{file}: {key} is empty, its shape is {array.shape}")
    array = with_channels_last(array, layout, f"{file}: {key}")
    if array.dtype.kind == "f":
        array = _from_floats(file, key, array)
    if array.dtype != np.uint8:
        kind = array.dtype.name if array.dtype.names is None else "a structured array"
        raise UserError(f"{file}: {key} is {kind}; expected uint8 (0 to 255) or floats in [0, 1]")
    return array


def _from_floats(file: Path, key: str, array: np.ndarray) -> np.ndarray:
    """uint8 of floats in [0, 1]."""
    missing = int(np.isnan(array).sum())
    if missing:
        raise UserError(f"{file}: {key} holds NaN in {missing} places; replace or remove them")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise UserError(
            f"{file}: {key} holds floats from {low:g} to {high:g}; "
            "floats must lie in [0, 1], pixels of 0 to 255 must be uint8"
        )
    return np.rint(array.astype(np.float32) * 255).astype(np.uint8)


def _labels(file: Path, key: str, array: np.ndarray) -> np.ndarray:
    """int64 [N]."""
    if array.ndim != 1:
        raise UserError(f"{file}: {key} has shape {array.shape}; expected [N], one integer per image")
    if array.dtype.kind not in "iu":
        kind = array.dtype.name if array.dtype.names is None else "a structured array"
        raise UserError(f"{file}: {key} is {kind}; labels must be integers that count from 0")
    if array.size and array.max() > MOST_CLASSES:
        raise UserError(f"{file}: {key} holds the label {array.max()}; labels count from 0, to {MOST_CLASSES} at most")
    return array.astype(np.int64)


def _class_names(file: Path, array: np.ndarray | None, labels: np.ndarray, key: str) -> tuple[str, ...]:
    if array is not None:
        if array.ndim != 1 or array.dtype.kind not in "US":
            kind = array.dtype.name if array.dtype.names is None else "a structured array"
            raise UserError(f"{file}: class_names is {kind} of shape {array.shape}; expected strings, one per class")
        if len(array) > MOST_CLASSES:
            raise UserError(f"{file}: class_names holds {len(array)} names; there may be {MOST_CLASSES} at most")
        try:
            return tuple(
                _printable(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)) for name in array
            )
        except (ValueError, SystemError) as error:  # numbers that are no letters
            raise UserError(f"{file}: class_names is damaged ({_reason(error)}); write the file again") from None
    present = np.unique(labels[labels >= 0])
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if len(gaps):
        raise UserError(
            f"{file}: {key} has no label {gaps[0]} but goes up to {present[-1]}; "
            "labels count from 0 without gaps, or class_names says which classes there are"
        )
    return tuple(str(label) for label in present)
