"""Which axis of an array of images holds the channels."""

from __future__ import annotations

import numpy as np

from darts_pl.data.settings import AUTO, NCHW, NHWC
from darts_pl.errors import UserError

#: Grey, grey with transparency, colour, colour with transparency: an axis this short holds channels.
MOST_CHANNELS = 4


def with_channels_last(array: np.ndarray, layout: str, what: str) -> np.ndarray:
    """The array as [N, H, W, C]; grey images [N, H, W] get one channel.

    With layout "auto", [N, H, W, C] is what has at most 4 channels, or square images with any number.

    Args:
        array: of 3 or 4 dimensions.
        layout: "auto", "nhwc" or "nchw".
        what: file and key, for messages.

    Raises:
        UserError: if the layout is "auto", and the shape is that of [N, C, H, W] or may be either.
    """
    if array.ndim == 3:
        return array[..., None]
    if layout == AUTO:
        _refuse_other_layouts(array, what)
    return array.transpose(0, 2, 3, 1) if layout == NCHW else array


def _refuse_other_layouts(array: np.ndarray, what: str) -> None:
    _, first, second, last = array.shape
    square = first > MOST_CHANNELS and first == second != last
    if last <= MOST_CHANNELS or square:
        return
    key = what.rpartition(" ")[2]
    transposed = f"{key}.transpose(0, 2, 3, 1), that is [N, H, W, C]"
    if first <= MOST_CHANNELS:
        raise UserError(
            f"{what} has shape {array.shape}, which looks like [N, C, H, W]; "
            f"set data.layout={NCHW}, or store {transposed}"
        )
    raise UserError(
        f"{what} has shape {array.shape}, which may be [N, C, H, W] or [N, H, W, C]; set data.layout={NCHW} or "
        f"data.layout={NHWC}, or from [N, C, H, W] store {transposed}"
    )
