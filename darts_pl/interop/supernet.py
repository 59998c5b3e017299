"""Search networks for images in the authors' naming.

Ours holds the K edges that leave a node side by side in one tensor; the authors hold one tensor per edge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_pl.interop.convolutional import authors_in_stem
from darts_pl.interop.loading import refuse_misfit
from darts_pl.interop.state_dict import unwrap
from darts_pl.ops import EdgeByEdge, EdgeOperation
from darts_pl.spaces.cnn import CnnSupernet
from darts_pl.spaces.cnn.fixed_reduction import FixedReduction

#: Candidates that are a bare `nn.Sequential` in the authors' table of operations (see `convolutional`).
_BARE = frozenset({"conv_7x1_1x7"})


class _Theirs(NamedTuple):
    """What the authors call the parts of one of our tensors.

    Args:
        names: one per edge, in stacking order.
        shared: whether the tensor serves all edges, instead of being cut into one part per edge.
    """

    names: list[str]
    shared: bool = False


def _theirs(supernet: CnnSupernet) -> dict[str, _Theirs]:
    """For each of our names, alphas left out, the authors'."""
    found = {key: _Theirs([authors_in_stem(key)]) for key in supernet.state_dict() if not key.startswith("arch.")}
    cells: Any = supernet.cells
    for layer, cell in enumerate(cells):
        if isinstance(cell, FixedReduction):
            continue
        for source, mixed in enumerate(cell.mixed):
            leaving = cell.space.leaving(source)
            for group in mixed.groups:
                operation = mixed.operation(group)
                places = [
                    f"cells.{layer}._ops.{leaving[position]}._ops.{column}."
                    for position, column in zip(group.positions, group.columns, strict=True)
                ]
                for name in operation.state_dict():
                    ours = f"cells.{layer}.mixed.{source}.operations.{group.name}.{name}"
                    found[ours] = _in_operation(group.name, operation, name, places)
            for name in mixed.extra.state_dict() if mixed.extra is not None else ():  # of each edge (DARTS-)
                ours = f"cells.{layer}.mixed.{source}.extra.{name}"
                found[ours] = _Theirs([f"cells.{layer}._ops.{edge}.{name}" for edge in leaving])
    return found


def _in_operation(candidate: str, operation: EdgeOperation, name: str, places: list[str]) -> _Theirs:
    each = re.match(r"each\.(\d+)\.", name)
    if isinstance(operation, EdgeByEdge) and each:  # one module per edge, as the authors have it
        return _Theirs([places[int(each.group(1))] + name[each.end() :]])
    if operation.shared:  # a pooling, which the authors put before its BatchNorm in a Sequential
        name = re.sub(r"^bn\.", "1.", name)
    if candidate in _BARE:
        name = name.removeprefix("op.")
    return _Theirs([place + name for place in places], operation.shared)


def export_supernet(supernet: CnnSupernet, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under our parameter names -> the same tensors under the authors' names.

    Args:
        supernet: the network whose names are meant.
        tensors: weights, buffers, gradients or momentum buffers by our names (alphas are left out:
            the authors keep them outside the state dict).
    """
    theirs = _theirs(supernet)
    result: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if key.startswith("arch."):
            continue
        names, shared = theirs.get(key, _Theirs([key]))
        if shared or len(names) == 1:
            result.update(dict.fromkeys(names, value))
        else:
            result.update(zip(names, value.chunk(len(names)), strict=True))
    return result


def import_supernet(supernet: CnnSupernet, tensors: Mapping[str, Any], *, strict: bool = True) -> dict[str, Tensor]:
    """Tensors under the authors' names -> tensors under ours, in the order of our state dict.

    Args:
        supernet: the network whose names are meant.
        tensors: weights, buffers, gradients or momentum buffers by the authors' names, also as part of a
            checkpoint and wrapped as `unwrap` says.
        strict: whether every tensor of the supernet's state dict must be present.

    Raises:
        UserError: naming the missing, unexpected and wrongly shaped tensors, with what was expected.
    """
    tensors = unwrap(tensors)
    theirs = _theirs(supernet)
    own = supernet.state_dict()
    expected: dict[str, Tensor] = {}
    for key, (names, shared) in theirs.items():
        shape = list(own[key].shape)
        if not shared and len(names) > 1:
            shape[0] //= len(names)
        expected.update(dict.fromkeys(names, own[key].new_empty(shape, device="meta")))
    refuse_misfit(tensors, expected, partial=not strict)
    result: dict[str, Tensor] = {}
    for key, (names, shared) in theirs.items():
        if all(name in tensors for name in names):
            found = [tensors[name] for name in (names[:1] if shared else names)]
            result[key] = found[0] if len(found) == 1 else torch.cat(found)
        elif strict:  # a counter of batches, which the authors' files lack
            result[key] = torch.zeros_like(own[key])
    return result
