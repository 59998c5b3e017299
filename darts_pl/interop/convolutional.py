"""Final networks for images: the authors' names and ours, and the sizes that a state dict tells.

The authors' table of operations (cnn/operations.py, `OPS`) makes modules whose layers lie under ``op``
(ReLUConvBN, SepConv, DilConv) or under ``conv_1``, ``conv_2`` and ``bn`` (FactorizedReduce), as ours do, and
poolings and identities without tensors. One differs: ``conv_7x1_1x7`` is a bare `nn.Sequential`, whose layers
lie directly under the operation. A state dict does not tell the operation, but no other one has kernels of
1x7 and 7x1 there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.interop.loading import list_names
from darts_pl.interop.state_dict import refuse_repeated, unwrap
from darts_pl.spaces.cnn import EXTRA_SKIP, STEM_MULTIPLIER, reductions

#: The kernels of the layers of ``conv_7x1_1x7``, by the number of the layer.
_KERNELS = {"1": (1, 7), "2": (7, 1)}
_LAYER = re.compile(r"(cells\.\d+\.(?:operations|_ops)\.\d+\.)(op\.)?(\d+)\.(.+)")


def export_network(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A final network's state dict -> the same under the authors' names."""
    return dict(zip(_authors(tensors).values(), tensors.values(), strict=True))


def import_network(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """A final network's state dict under the authors' names (or ours) -> the same under ours.

    Args:
        tensors: the state dict, also as part of a checkpoint and wrapped as `unwrap` says.

    Raises:
        UserError: if there is no state dict.
    """
    state = unwrap(tensors)
    bare = _conv_7x1(state)
    result = {}
    for key, value in state.items():
        found = _LAYER.fullmatch(key)
        if found and found.group(1) in bare:
            key = f"{found.group(1)}op.{found.group(3)}.{found.group(4)}"
        key = re.sub(r"(?<=\.)_ops\.", "operations.", key)
        result[ours_in_stem(key)] = value
    return result


def authors_names(network: nn.Module) -> Callable[[str], str]:
    """From our name of a tensor of a final network to the authors'."""
    names = _authors(network.state_dict())

    def named(key: str) -> str:
        return names.get(key) or _authors({key: None})[key]

    return named


def _authors(tensors: Mapping[str, Tensor | None]) -> dict[str, str]:
    """For each of our names the authors'."""
    bare = _conv_7x1(tensors)
    names = {}
    for key in tensors:
        found = _LAYER.fullmatch(key)
        name = f"{found.group(1)}{found.group(3)}.{found.group(4)}" if found and found.group(1) in bare else key
        names[key] = authors_in_stem(re.sub(r"(?<=\.)operations\.", "_ops.", name))
    return names


def authors_in_stem(key: str) -> str:
    """The name of a tensor of the network for photos, whose stem is two modules in the authors' code."""
    return re.sub(r"^stem\.(?=stem[01]\.)", "", key)


def ours_in_stem(key: str) -> str:
    """The inverse of `authors_in_stem`."""
    return re.sub(r"^(?=stem[01]\.)", "stem.", key)


def _conv_7x1(tensors: Mapping[str, Tensor | None]) -> set[str]:
    """Where the operations conv_7x1_1x7 lie, such as "cells.1.operations.8."."""
    places = set()
    for key, value in tensors.items():
        found = _LAYER.fullmatch(key)
        if value is None or not found or found.group(4) != "weight" or value.dim() != 4:
            continue
        if tuple(value.shape[2:]) == _KERNELS.get(found.group(3)):
            places.add(found.group(1))
    return places


def classifier_sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of the `Classifier` that a state dict (under our names) belongs to, but for its genotype.

    Raises:
        UserError: if it is not that of a final network for images.
    """
    stem = "imagenet" if any(key.startswith("stem.stem0.") for key in tensors) else "cifar"
    first, last = ("stem.stem0.0.weight", "stem.stem0.3.weight") if stem == "imagenet" else ("stem.0.weight",) * 2
    for key, dimensions in ((first, 4), (last, 4), ("classifier.weight", 2)):
        if key not in tensors:
            raise UserError(
                f"the checkpoint is of no network for images: {authors_in_stem(key)!r} is missing; found "
                f"{list_names(map(authors_in_stem, tensors)) or 'no tensors'}"
            )
        shape = tensors[key].shape
        if len(shape) != dimensions or not tensors[key].numel():
            raise UserError(
                f"the checkpoint is of no network for images: {authors_in_stem(key)!r} has the shape {list(shape)}, "
                f"not one of {dimensions} sizes"
            )
    refuse_repeated(tensors)
    if any(re.match(r"cells\.\d+\.(mixed\.|operations\.\d+\.operations\.)", key) for key in tensors):
        raise UserError("the checkpoint is of a search network; give one of a final network, which task=retrain trains")
    cells = {int(found.group(1)) for key in tensors if (found := re.match(r"cells\.(\d{1,6})\.", key))}
    for layer in range(max(cells, default=0)):
        if layer not in cells:  # nor is a network of a million cells built for one misleading name
            raise UserError(f"the checkpoint skips a cell: cells.{layer} is missing, but there is cells.{max(cells)}")
    width = tensors[last].shape[0]
    if stem == "cifar" and width % STEM_MULTIPLIER:
        raise UserError(
            f"the checkpoint's {first!r} has {width} output channels; a multiple of {STEM_MULTIPLIER} is expected"
        )
    channels = width if stem == "imagenet" else width // STEM_MULTIPLIER
    return {
        "stem": stem,
        "init_channels": channels,
        "layers": max(cells, default=0) + 1,
        "reductions": _reductions(tensors, channels, max(cells, default=0) + 1),
        "extra_skip": EXTRA_SKIP in tensors,
        "classes": tensors["classifier.weight"].shape[0],
        "in_channels": tensors[first].shape[1],
        "auxiliary": any(key.startswith("auxiliary_head.") for key in tensors),
    }


def _reductions(tensors: Mapping[str, Tensor], channels: int, layers: int) -> list[int] | None:
    """The cells that double the width; None where a width is missing or wrong, or they are where the
    paper has them."""
    found = []
    for layer in range(layers):
        weight = tensors.get(f"cells.{layer}.preprocess1.op.1.weight")
        if weight is None or weight.dim() != 4 or weight.shape[0] not in (channels, 2 * channels):
            return None
        if weight.shape[0] == 2 * channels:
            found.append(layer)
        channels = weight.shape[0]
    return None if set(found) == reductions(layers) else found
