"""What all final networks for images have."""

from __future__ import annotations

from torch import nn


class ImageNetwork(nn.Module):
    """A classifier: images [B, in_channels, H, W] -> logits [B, classes].

    While training it may return a pair, the logits and those of an auxiliary tower (None on a map too small).

    Attributes:
        in_channels: channels of the images.
        classifier: the linear head.
        drop_path: current drop-path probability, for networks with paths to drop; whoever trains sets it.
    """

    in_channels: int
    classifier: nn.Linear
    drop_path: float = 0.0
