"""The auxiliary tower: a second, small head that helps to train deep final networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from darts_pl.spaces.cnn.plan import reductions
from darts_pl.spaces.cnn.stems import STEMS

#: By the stem of the network, how its tower differs.
TOWERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"cifar": {"pool_stride": 3, "last_norm": True}, "imagenet": {"pool_stride": 2, "last_norm": False}}
)


def tower_fits(layers: int, stem: str, side: int, at: Sequence[int] | None = None) -> bool:
    """Whether a tower has a map of 2x2 or more to read.

    Args:
        layers, stem: of the network.
        side: shorter side of the images in pixels.
        at: numbers of the reduction cells; None = those of the paper.
    """
    halvings = (3 if STEMS[stem].halves else 0) + sum(cell <= 2 * layers // 3 for cell in reductions(layers, at))
    return side > 2**halvings


class TowerPool(nn.Module):
    """5x5 average pooling that brings a map of the papers' size to 2x2; maps of other sizes are
    pooled adaptively to 2x2.

    Args:
        stride: 3 for maps of 8x8, 2 for maps of 7x7.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, stride=stride, padding=0, count_include_pad=False)
        self.side = 5 + stride

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] == (self.side, self.side):
            return self.pool(x)
        return nn.functional.adaptive_avg_pool2d(x, 2)


class AuxiliaryTower(nn.Module):
    """ReLU, average pooling to 2x2, 1x1 convolution to 128, 2x2 convolution to 768, linear head.

    Args:
        channels: of the map it reads.
        classes: number of classes.
        pool_stride: 3 for small images (an 8x8 map becomes 2x2), 2 for ImageNet (7x7 becomes 2x2).
        last_norm: whether BatchNorm follows the second convolution. The published ImageNet
            results were made without it.
    """

    def __init__(self, channels: int, classes: int, pool_stride: int = 3, last_norm: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.ReLU(),
            TowerPool(pool_stride),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
        ]
        layers += [nn.BatchNorm2d(768)] if last_norm else []
        self.features = nn.Sequential(*layers, nn.ReLU())
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor | None:
        """Logits [B, classes] from a map [B, channels, H, W]; None if the map is smaller than 2x2."""
        if min(x.shape[-2:]) < 2:
            return None
        return self.classifier(self.features(x).flatten(1))
