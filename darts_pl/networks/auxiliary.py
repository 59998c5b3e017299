"""The auxiliary tower: a second, small head that helps to train deep final networks."""

from __future__ import annotations

from torch import Tensor, nn


class AuxiliaryTower(nn.Module):
    """ReLU, 5x5 average pooling, 1x1 convolution to 128, 2x2 convolution to 768, linear head.

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
            nn.AvgPool2d(5, stride=pool_stride, padding=0, count_include_pad=False),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
        ]
        layers += [nn.BatchNorm2d(768)] if last_norm else []
        self.features = nn.Sequential(*layers, nn.ReLU())
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] from a map [B, channels, H, W]."""
        return self.classifier(self.features(x).flatten(1))
