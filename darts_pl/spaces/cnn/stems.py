"""What stands before the first cell: from images to the two maps that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.ops import BatchNorm

#: Channels of the stem for small images, in multiples of the first cells' width (the authors' code).
STEM_MULTIPLIER = 3


def _conv(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        BatchNorm(out_channels, affine=True),
    ]


class CifarStem(nn.Sequential):
    """For small images: one 3x3 convolution and BatchNorm; both inputs of the first cell are its output.

    Args:
        in_channels: channels of the images.
        init_channels: C, the width of the first cells.
    """

    #: whether the first input of the first cell is twice as large as the second
    halves = False

    def __init__(self, in_channels: int, init_channels: int) -> None:
        self.channels = STEM_MULTIPLIER * init_channels
        super().__init__(*_conv(in_channels, self.channels, stride=1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Twice the same map [B, 3*C, H, W]."""
        x = super().forward(x)
        return x, x


class ImageNetStem(nn.Module):
    """For photos: three 3x3 convolutions of stride 2 (the ImageNet network of paper section A.2.3).

    Args:
        in_channels: channels of the images.
        init_channels: C, the width of the first cells.
    """

    halves = True

    def __init__(self, in_channels: int, init_channels: int) -> None:
        super().__init__()
        self.channels = init_channels
        half = max(init_channels // 2, 1)
        self.stem0 = nn.Sequential(*_conv(in_channels, half, 2), nn.ReLU(), *_conv(half, init_channels, 2))
        self.stem1 = nn.Sequential(nn.ReLU(), *_conv(init_channels, init_channels, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [B, C, H/4, W/4] and [B, C, H/8, W/8]."""
        first = self.stem0(x)
        return first, self.stem1(first)


Stem = CifarStem | ImageNetStem

STEMS: Mapping[str, type[CifarStem] | type[ImageNetStem]] = MappingProxyType(
    {"cifar": CifarStem, "imagenet": ImageNetStem}
)


def build_stem(name: str, in_channels: int, init_channels: int) -> Stem:
    """The stem `name`.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in STEMS:
        raise UserError(f"unknown stem {name!r}; known: {', '.join(STEMS)}")
    return STEMS[name](in_channels, init_channels)
