"""What a run folder says about its network where an older version wrote no description."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from darts_pl.genotype import Genotype
from darts_pl.records import ImageInput, NetworkDescription, TextInput, read_configuration, read_summary
from darts_pl.spaces import ImageNetwork

OLDER = "it was trained by an older version of darts_pl, which did not store them"


def describe_older(folder: Path | None, genotype: Genotype, network: nn.Module) -> NetworkDescription:
    """As much as is known of a network without a description.

    Args:
        folder: of the run that trained it; None of a bare checkpoint.
        genotype: what it was built from.
        network: the network.
    """
    found = None if folder is None else read_configuration(folder, "data")
    data: dict[str, Any] = {} if found is None else found["data"]
    name = data.get("name")
    if not isinstance(network, ImageNetwork):
        return NetworkDescription(genotype=genotype, input=TextInput(), data=name)
    names = _class_names(folder, network.classifier.out_features)
    return NetworkDescription(
        genotype=genotype,
        input=_image_input(network, data, {} if folder is None else read_summary(folder) or {}),
        data=name,
        class_names=names,
        why_numbers=None if names is not None else "no class names are stored with the network",
    )


def _image_input(network: ImageNetwork, data: dict[str, Any], summary: dict[str, Any]) -> ImageInput:
    photos = data.get("kind") == "photos"
    mean, std = data.get("mean"), data.get("std")
    return ImageInput(
        channels=network.in_channels,
        height=data.get("size") if photos else summary.get("height"),
        width=data.get("size") if photos else summary.get("width"),
        mean=None if mean is None else tuple(map(float, mean)),
        std=None if std is None else tuple(map(float, std)),
        photos=photos,
        resize=data.get("resize"),
        layout=data.get("layout", "auto"),
    )


def _class_names(folder: Path | None, classes: int) -> tuple[str, ...] | None:
    """Those in `data.json`, where they are no numbers."""
    if folder is None:
        return None
    try:
        names = json.loads((folder / "data.json").read_text(encoding="utf-8"))["classes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(names, list) or len(names) != classes or all(str(name).isdecimal() for name in names):
        return None
    return tuple(map(str, names))
