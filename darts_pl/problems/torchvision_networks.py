"""Classifiers of torchvision, which a user knows, to compare a found network with."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import torchvision.models
from torch import Tensor

from darts_pl.errors import UserError
from darts_pl.spaces import ImageNetwork, count_multiply_adds

#: What some networks need in order to return logits alone while they train.
_WITHOUT_AUXILIARY = {name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")}


class TorchvisionNetwork(ImageNetwork):
    """A network of torchvision with new weights and a head for these classes; grey images are given thrice.

    Args:
        name: one of `list_torchvision_networks`.
        channels: of the images, 1 or 3.
        classes: number of classes.

    Raises:
        UserError: if there is no such network, or the images have another number of channels.
    """

    def __init__(self, name: str, channels: int, classes: int) -> None:
        super().__init__()
        check_torchvision_network(name)
        if channels not in (1, 3):
            raise UserError(f"compare={name}: reads images of 1 or 3 channels, and these have {channels}")
        options: dict[str, Any] = _WITHOUT_AUXILIARY.get(name, {})
        self.in_channels = channels
        self.network = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, channels, H, W]."""
        logits: Tensor = self.network(images.expand(-1, 3, -1, -1))
        return logits


def build_torchvision_network(name: str, shape: tuple[int, int, int], classes: int) -> tuple[ImageNetwork, int]:
    """The network, and its multiply-adds for one image.

    Args:
        name: one of `list_torchvision_networks`.
        shape: channels, height and width of the images.
        classes: number of classes.

    Raises:
        UserError: if there is no such network, or it cannot read images of this shape.
    """
    network = TorchvisionNetwork(name, shape[0], classes)
    try:
        return network, count_multiply_adds(network, *shape)
    except Exception as error:  # of torch, whose kinds of errors for a map that became too small differ
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"compare={name}: cannot read images of {shape[1]}x{shape[2]} ({reason})") from None


def check_torchvision_network(name: str) -> None:
    """Raise UserError unless torchvision has a classifier of that name."""
    known = list_torchvision_networks()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        guess = (
            f"did you mean {near[0]}?" if near else "use one such as resnet18, mobilenet_v3_small or efficientnet_b0"
        )
        raise UserError(f"compare={name}: torchvision has no classifier of that name; {guess}")


def list_torchvision_networks() -> Sequence[str]:
    """The classifiers of torchvision, such as "resnet18" and "mobilenet_v3_small"."""
    return torchvision.models.list_models(module=torchvision.models)
