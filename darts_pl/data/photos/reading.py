"""How the file of one photo becomes pixels in RGB."""

from __future__ import annotations

import struct
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

#: What Pillow raises of files that are damaged or no images.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)

_ORIENTATION = 0x0112
_BITS_PER_SAMPLE, _MAX_SAMPLE_VALUE = 0x0102, 0x0119
#: The largest value of 16 bits.
_WHITE = 65535
#: Of a photo as it is stored, by its EXIF orientation (CIPA DC-008, tag 274): what turns it upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BrokenPhotoError(Exception):
    """A file that is no readable photo. The message names it."""


def read_photo(path: str) -> Image.Image:
    """The photo in RGB and upright, whatever its file holds.

    The EXIF orientation is applied. Transparent places become white. Grey of more than 8 bits is divided by
    the range that the file states: MaxSampleValue or BitsPerSample of a TIFF; else 16 bits, of which the upper 8
    remain. Grey floats in [0, 1] become 0 to 255. Other modes are converted as Pillow does.

    Raises:
        BrokenPhotoError: if the file is missing, truncated or no image, or its numbers have no known
            range: 32-bit integers, floats outside [0, 1], 16 bits of which the upper 8 are all zero.
    """
    try:
        # From a stream: given a path, Pillow maps some TIFF files into memory and mixes up their width and height.
        with warnings.catch_warnings(), open(path, "rb") as stream, Image.open(stream) as photo:
            warnings.simplefilter("ignore")  # a large photo, odd metadata: nothing that a user must act on
            photo.load()
            return upright_rgb(photo)
    except _DAMAGED as error:
        raise BrokenPhotoError(f"{path}: not a readable photo ({_reason(error)})") from None


def upright_rgb(photo: Image.Image) -> Image.Image:
    """An open photo in RGB and upright; see `read_photo`. Raises ValueError if its numbers have no known range."""
    return _upright(_as_rgb(photo), _orientation(photo))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its text shows a Python object
        return "no image, or of a kind that Pillow does not know"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:120] or type(error).__name__


def _as_rgb(photo: Image.Image) -> Image.Image:
    if photo.mode == "RGB" and "transparency" not in photo.info:
        return photo.copy()
    if photo.mode.startswith("I"):
        return _from_integers(photo)
    if photo.mode == "F":
        return _from_floats(np.asarray(photo))
    if photo.has_transparency_data:
        clear = photo.convert("RGBA")
        if np.asarray(clear.getchannel("A")).min() < 255:
            return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return photo.convert("RGB")


def _from_integers(photo: Image.Image) -> Image.Image:
    """Of grey of more than 8 bits, which Pillow would clip at 255."""
    values = np.asarray(photo, dtype=np.int64)
    if not photo.mode.startswith("I;16") and photo.format not in ("PNG", "PPM"):  # these two scale to 16 bits
        raise ValueError("32-bit integers, whose range is not known; store 8 or 16 bits")
    limit = _largest_value(photo, int(values.max()))
    if limit == _WHITE and 0 < values.max() < 256:
        raise ValueError(f"16-bit values up to {values.max()} of {_WHITE}, which would be black; store 8 bits")
    return _grey((values * 256 // (limit + 1)).clip(0, 255))


def _largest_value(photo: Image.Image, present: int) -> int:
    """The value that means white, at least the largest one that is present.

    A TIFF may say it in its tag MaxSampleValue, or by its bits per sample (TIFF 6.0, section 8); Pillow scales the
    values of other formats to 16 bits.
    """
    tags = getattr(photo, "tag_v2", {})
    stated = [tags.get(_MAX_SAMPLE_VALUE), *(2**bits - 1 for bits in _numbers(tags.get(_BITS_PER_SAMPLE)) if bits < 16)]
    for found in stated:
        for value in _numbers(found):
            if max(present, 1) <= value < _WHITE:
                return value
    return _WHITE


def _numbers(found: object) -> list[int]:
    """The positive whole numbers of a TIFF tag, which holds one or several values of any type."""
    values = found if isinstance(found, tuple) else (found,)
    return [value for value in values if isinstance(value, int) and value > 0]


def _from_floats(values: np.ndarray) -> Image.Image:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # also of NaN
        raise ValueError(f"floats from {low:g} to {high:g}; floats must lie in [0, 1]")
    return _grey(np.rint(values * 255))


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _orientation(photo: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where there is none or its tags are damaged."""
    try:
        found = photo.getexif().get(_ORIENTATION, 1)
    except (*_DAMAGED, KeyError, TypeError, AttributeError, IndexError):
        return 1
    return found if isinstance(found, int) else 1


def _upright(photo: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return photo if turn is None else photo.transpose(turn)
