"""The user's own images: one .npz file of plain arrays, read with pickling off."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from darts_pl.data.images import ImageArrays, source
from darts_pl.errors import UserError

REQUIRED = ("x_train", "y_train", "x_test", "y_test")


@source("npz")
def npz(path: str | None) -> ImageArrays:
    """The arrays of a file that ``numpy.savez`` wrote.

    Keys: `x_train`, `x_test` [N, H, W] or [N, H, W, C], uint8 (or floats in [0, 1], stored as
    uint8 from here on); `y_train`, `y_test` integers [N] that count from 0; optionally
    `class_names`, strings [classes].

    Raises:
        UserError: if the file is missing, broken or holds something else.
    """
    if not path:
        raise UserError("data=npz reads your own arrays: set data.path=FILE.npz")
    file = Path(path).expanduser()
    arrays = _read(file)
    x_train, x_test = _images(file, "x_train", arrays["x_train"]), _images(file, "x_test", arrays["x_test"])
    y_train, y_test = _labels(file, "y_train", arrays["y_train"]), _labels(file, "y_test", arrays["y_test"])
    return ImageArrays(
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        class_names=_class_names(file, arrays.get("class_names"), y_train),
        origin=str(file),
    )


def _read(file: Path) -> dict[str, np.ndarray]:
    if file.is_dir():
        raise UserError(f"data.path={file}: is a folder; name the .npz file in it")
    if not file.is_file():
        raise UserError(f"data.path={file}: there is no such file")
    try:
        stream = file.open("rb")
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error})") from None
    with stream, _open_archive(file, stream) as archive:
        missing = [key for key in REQUIRED if key not in archive.files]
        if missing:
            found = ", ".join(archive.files[:8]) or "nothing"
            raise UserError(f"{file}: {', '.join(missing)} missing; the file holds {found}")
        return {key: _read_key(file, archive, key) for key in (*REQUIRED, "class_names") if key in archive.files}


def _open_archive(file: Path, stream: BinaryIO) -> Any:
    try:
        archive = np.load(stream, allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile):
        raise UserError(f"{file}: not an npz file, or a truncated one; write it with numpy.savez") from None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise UserError(f"{file}: holds a single array; write {', '.join(REQUIRED)} with numpy.savez")
    return archive


def _read_key(file: Path, archive: Any, key: str) -> np.ndarray:
    try:
        array = archive[key]
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise UserError(
                f"{file}: {key} holds pickled Python objects, which are not loaded because they can run code\n"
                "store a plain array of numbers (class_names: an array of strings)"
            ) from None
        raise UserError(f"{file}: {key} is damaged ({error})") from None
    except (
        EOFError,
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,  # zipfile's, of a compression that it does not know
    ) as error:
        raise UserError(f"{file}: {key} is damaged ({error}); write the file again") from None
    except MemoryError:
        raise UserError(f"{file}: {key} does not fit into memory") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{file}: {key} is not a numpy array; write the file with numpy.savez")
    return array


def _images(file: Path, key: str, array: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, C]."""
    if array.ndim not in (3, 4):
        raise UserError(f"{file}: {key} has shape {array.shape}; expected [N, H, W] or [N, H, W, C]")
    if array.size == 0:
        raise UserError(f"{file}: {key} is empty, its shape is {array.shape}")
    if array.ndim == 4 and array.shape[3] > 4 and array.shape[1] <= 4:
        raise UserError(
            f"{file}: {key} has shape {array.shape}, which looks like [N, C, H, W]; "
            f"store {key}.transpose(0, 2, 3, 1), that is [N, H, W, C]"
        )
    if array.dtype.kind == "f":
        if np.isnan(array).any():
            raise UserError(f"{file}: {key} holds NaN in {int(np.isnan(array).sum())} places; remove or mend them")
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 1:
            raise UserError(
                f"{file}: {key} holds floats from {low:g} to {high:g}; "
                "floats must lie in [0, 1], pixels of 0 to 255 must be uint8"
            )
        array = np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise UserError(f"{file}: {key} is {array.dtype}; expected uint8 (0 to 255) or floats in [0, 1]")
    return array if array.ndim == 4 else array[..., None]


def _labels(file: Path, key: str, array: np.ndarray) -> np.ndarray:
    """int64 [N]."""
    if array.ndim != 1:
        raise UserError(f"{file}: {key} has shape {array.shape}; expected [N], one integer per image")
    if array.dtype.kind not in "iu":
        raise UserError(f"{file}: {key} is {array.dtype}; labels must be integers that count from 0")
    return array.astype(np.int64)


def _class_names(file: Path, array: np.ndarray | None, y_train: np.ndarray) -> tuple[str, ...]:
    if array is not None:
        if array.ndim != 1 or array.dtype.kind not in "US":
            raise UserError(
                f"{file}: class_names is {array.dtype} of shape {array.shape}; expected strings, one per class"
            )
        return tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in array)
    present = np.unique(y_train[y_train >= 0])
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if len(gaps):
        raise UserError(
            f"{file}: y_train has no label {gaps[0]} but goes up to {present[-1]}; "
            "labels count from 0 without gaps, or class_names says which classes there are"
        )
    return tuple(str(label) for label in present)
