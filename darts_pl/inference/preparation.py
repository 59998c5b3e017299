"""From a photo or an array to the pixels that a network reads, as task=test prepares them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from darts_pl.data.images.layout import MOST_CHANNELS
from darts_pl.data.photos.module import evaluation_transform
from darts_pl.data.photos.reading import read_photo, upright_rgb
from darts_pl.data.settings import NCHW
from darts_pl.errors import UserError
from darts_pl.records import ImageInput


class Preparation:
    """Photos and arrays as uint8 pixels of the size that a network reads.

    A network that was trained on photos gets the centre crop of every resized image, whatever its size. One that was
    trained on arrays gets arrays of its own size; a photo of another size is reduced or enlarged until it covers that
    size, and its centre is cropped.

    Args:
        input: what the network was trained on; its size must be known.
    """

    def __init__(self, input: ImageInput) -> None:
        assert input.height is not None
        assert input.width is not None
        self.input, self.height, self.width = input, input.height, input.width

    @property
    def size(self) -> str:
        """What the network reads, for messages."""
        return f"{self.height}x{self.width} pixels with {_channels(self.input.channels)}"

    def file(self, path: str | Path) -> Tensor:
        """Pixels uint8 [H, W, C] of a photo's file.

        Raises:
            BrokenPhotoError: if it is no readable photo.
            UserError: if the network reads neither grey nor colour images.
        """
        return self._pixels(read_photo(str(path)))

    def photo(self, photo: Image.Image) -> Tensor:
        """Pixels uint8 [H, W, C] of a photo of Pillow, in any mode; raises UserError as `file` does."""
        return self._pixels(upright_rgb(photo))

    def arrays(self, values: Any, what: str = "the array") -> Tensor:
        """Pixels uint8 [N, H, W, C] of one image or of several.

        Args:
            values: numpy array or tensor, uint8 or floats in [0, 1]: [N, H, W, C] or [H, W, C], of grey images
                without C where the network reads grey images or was trained on photos. For a network that was trained
                with data.layout=nchw, C is before H.
            what: the array is called in messages.

        Raises:
            UserError: if shape, type or values are others.
        """
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
        array = _as_bytes(self._channels_last(array, what), what)
        height, width, channels = array.shape[1:]
        if self.input.photos and channels in (1, 3):
            photos = (Image.fromarray(one[..., 0] if channels == 1 else one) for one in array)
            return torch.stack([self._pixels(photo.convert("RGB")) for photo in photos])
        if (height, width, channels) != (self.height, self.width, self.input.channels):
            raise UserError(
                f"{what} holds images of {height}x{width} pixels with {_channels(channels)}; this network reads "
                f"{self.size}"
            )
        return torch.from_numpy(np.ascontiguousarray(array))

    def holds_several(self, shape: Sequence[int]) -> bool:
        """Whether an array of this shape holds several images; see `arrays`."""
        return len(shape) == 4 or (len(shape) == 3 and self._is_without_channels(shape))

    def _is_without_channels(self, shape: Sequence[int]) -> bool:
        """Whether it holds grey images [H, W] or [N, H, W].

        A network for photos reads grey ones as it reads grey files. Three colour channels [3, H, W] look like three of
        them, and are none.
        """
        if self.input.channels == 1:
            return len(shape) == 2 or (len(shape) == 3 and shape[2] != 1)
        return self.input.photos and (
            len(shape) == 2 or (len(shape) == 3 and shape[0] != 3 and shape[2] > MOST_CHANNELS)
        )

    def _channels_last(self, array: np.ndarray, what: str) -> np.ndarray:
        """[N, H, W, C]."""
        channels, shape = self.input.channels, tuple(array.shape)
        if self._is_without_channels(shape):
            array = array[..., None, :, :] if self.input.layout == NCHW else array[..., None]
        if self.input.photos and array.ndim == 3 and shape[0] == 3 and shape[2] > MOST_CHANNELS:
            raise UserError(
                f"{what} has shape {shape}, which looks like [C, H, W]; give [H, W, C], or grey images as [N, H, W, 1]"
            )
        if array.ndim == 3:
            array = array[None]
        if array.ndim != 4 or array.size == 0:
            raise UserError(f"{what} has shape {shape}; this network reads images [N, H, W, C] of {self.size}")
        if self.input.layout == NCHW and array.shape[1] == channels:
            return array.transpose(0, 2, 3, 1)
        if array.shape[3] != channels and array.shape[1] == channels:
            raise UserError(
                f"{what} has shape {shape}, which looks like [N, C, H, W]; give [N, H, W, C], its transpose(0, 2, 3, 1)"
            )
        return array

    def _pixels(self, photo: Image.Image) -> Tensor:
        """Of a photo in RGB."""
        if self.input.channels not in (1, 3):
            raise UserError(f"a photo has 1 or 3 channels, but this network reads {self.size}; give an array")
        if self.input.photos:
            photo = evaluation_transform(self.input)(photo)
        elif photo.size != (self.width, self.height):
            photo = _covering(photo, self.height, self.width)
        if self.input.channels == 1:
            photo = photo.convert("L")
        pixels: Tensor = v2.functional.pil_to_tensor(photo)
        return pixels.permute(1, 2, 0)


def _covering(photo: Image.Image, height: int, width: int) -> Image.Image:
    """The centre of the photo, reduced or enlarged until it covers so many pixels."""
    scale = max(width / photo.width, height / photo.height)
    size = (max(round(photo.width * scale), width), max(round(photo.height * scale), height))
    cropped: Image.Image = v2.functional.center_crop(photo.resize(size, Image.Resampling.BILINEAR), [height, width])
    return cropped


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def _as_bytes(array: np.ndarray, what: str) -> np.ndarray:
    """uint8 of uint8, or of floats in [0, 1]."""
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):  # also of NaN
            raise UserError(
                f"{what} holds floats from {low:g} to {high:g}; give uint8 (0 to 255), or floats in [0, 1], before any "
                "normalisation"
            )
        return np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise UserError(f"{what} is {array.dtype.name}; give uint8 (0 to 255) or floats in [0, 1]")
    return array
