"""State dicts in the authors' naming, in and out.

Final networks differ from ours only in names. In the supernet ours holds the K edges that leave a
node side by side in one tensor; the authors hold one tensor per edge.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.spaces.cnn import STEM_MULTIPLIER, CnnSupernet

_COUNTER = "num_batches_tracked"


def _edge_keys(supernet: CnnSupernet) -> dict[str, list[str]]:
    """For each of our keys inside a mixed node, the authors' key of every edge, in stacking order."""
    keys: dict[str, list[str]] = {}
    cells: Any = supernet.cells
    for layer, cell in enumerate(cells):
        for source, mixed in enumerate(cell.mixed):
            leaving = cell.space.leaving(source)
            for group in mixed.groups:
                ours = f"cells.{layer}.mixed.{source}.operations.{group.name}."
                operation = mixed.operation(group)
                for name in operation.state_dict():
                    inner = re.sub(r"^bn\.", "1.", name) if operation.shared else name
                    keys[ours + name] = [
                        f"cells.{layer}._ops.{leaving[position]}._ops.{column}.{inner}"
                        for position, column in zip(group.positions, group.columns, strict=True)
                    ]
    return keys


def _is_shared(supernet: CnnSupernet, key: str) -> bool:
    found = re.match(r"(.*?\.operations\.\w+)\.", key)
    assert found is not None
    return bool(supernet.get_submodule(found.group(1)).shared)


def export_supernet(supernet: CnnSupernet, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under our parameter names -> the same tensors under the authors' names.

    Args:
        supernet: the network whose names are meant.
        tensors: weights, buffers, gradients or momentum buffers by our names (alphas are left out:
            the authors keep them outside the state dict).
    """
    edge_keys = _edge_keys(supernet)
    result: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if key.startswith("arch."):
            continue
        theirs = edge_keys.get(key)
        if theirs is None:
            result[key] = value
        elif _is_shared(supernet, key):
            result.update(dict.fromkeys(theirs, value))
        else:
            result.update(zip(theirs, value.chunk(len(theirs)), strict=True))
    return result


def import_supernet(supernet: CnnSupernet, tensors: Mapping[str, Tensor], *, strict: bool = True) -> dict[str, Tensor]:
    """Tensors under the authors' names -> tensors under ours, in the order of our state dict.

    Args:
        supernet: the network whose names are meant.
        tensors: weights, buffers, gradients or momentum buffers by the authors' names.
        strict: whether every tensor of the supernet's state dict must be present.

    Raises:
        UserError: naming the first missing, unexpected and wrongly shaped tensors.
    """
    tensors = unwrap(tensors)
    edge_keys = _edge_keys(supernet)
    own = {key: value for key, value in supernet.state_dict().items() if not key.startswith("arch.")}
    parts = {key: 1 if key not in edge_keys or _is_shared(supernet, key) else len(edge_keys[key]) for key in own}
    shapes = {}
    for key, ours in own.items():
        shape = ours.shape if parts[key] == 1 else (len(ours) // parts[key], *ours.shape[1:])
        shapes.update(dict.fromkeys(edge_keys.get(key, [key]), shape))
    _refuse_misfit(tensors, shapes, partial=not strict)
    result: dict[str, Tensor] = {}
    for key, ours in own.items():
        theirs = edge_keys.get(key, [key])
        if all(name in tensors for name in theirs):
            found = [tensors[name] for name in theirs[: parts[key]]]
            result[key] = found[0] if len(found) == 1 else torch.cat(found)
        elif strict:  # a counter of batches, which the authors' files lack
            result[key] = torch.zeros_like(ours)
    return result


_TO_AUTHORS = ((r"\.operations\.", "._ops."), (r"^stem\.stem", "stem"))
_TO_OURS = ((r"\._ops\.", ".operations."), (r"^stem(?=[01]\.)", "stem.stem"))


def export_network(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A final network's state dict -> the same under the authors' names."""
    return {_renamed(key, _TO_AUTHORS): value for key, value in tensors.items()}


def import_network(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A final network's state dict under the authors' names (or ours) -> the same under ours."""
    return {_renamed(key, _TO_OURS): value for key, value in unwrap(tensors).items()}


def authors_name(key: str) -> str:
    """What the authors call a tensor of a final network."""
    return _renamed(key, _TO_AUTHORS)


def _renamed(key: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, name in rules:
        key = re.sub(pattern, name, key)
    return key


_RECURRENT_TO_AUTHORS = (
    (r"^network\.", ""),
    (r"^words\.weight$", "encoder.weight"),
    (r"^words\.bias$", "decoder.bias"),
    (r"^cell\.first$", "rnns.0._W0"),
    (r"^cell\.nodes\.", "rnns.0._Ws."),
    (r"^cell\.norm\.", "rnns.0.bn."),
)
_TIED = ("encoder.weight", "decoder.weight")


def export_recurrent(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a language model or a recurrent supernet -> the same under the authors' names, without alphas."""
    result = {
        _renamed(key, _RECURRENT_TO_AUTHORS): value for key, value in tensors.items() if not key.startswith("arch.")
    }
    if _TIED[0] in result:
        result[_TIED[1]] = result[_TIED[0]]
    return result


def import_recurrent(module: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a language model or a recurrent supernet under the authors' names -> the same under ours.

    Args:
        module: the `LanguageModel` or `RnnSupernet` whose names are meant.
        tensors: by the authors' names; encoder and decoder are one matrix.

    Raises:
        UserError: if encoder and decoder differ.
    """
    tensors = unwrap(tensors)
    if all(name in tensors for name in _TIED) and not torch.equal(*(tensors[name] for name in _TIED)):
        raise UserError("checkpoint: encoder.weight and decoder.weight differ; ours share one matrix")
    ours = {_renamed(key, _RECURRENT_TO_AUTHORS): key for key in module.state_dict() if not key.startswith("arch.")}
    return {ours.get(key, key): value for key, value in tensors.items() if key != _TIED[1]}


def unwrap(tensors: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The state dict itself, where it lies under "state_dict" or its keys begin with "module." or "network.".

    Raises:
        UserError: if there is something else than tensors in it.
    """
    inner = tensors.get("state_dict", tensors)
    if not isinstance(inner, Mapping) or not all(isinstance(value, Tensor) for value in inner.values()):
        raise UserError("checkpoint: holds no state dict, neither by itself nor under 'state_dict'")
    return {re.sub(r"^(module\.|network\.)+", "", str(key)): value for key, value in inner.items()}


def read(path: Path) -> Mapping[str, Any]:
    """What a checkpoint file holds, on the CPU. Only tensors and plain values are loaded, never code.

    Raises:
        UserError: if the file is missing, damaged, no checkpoint, or needs pickled code.
    """
    if not path.is_file():
        raise UserError(f"checkpoint={path}: there is no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a hostile or damaged file can provoke
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and code:
            raise UserError(
                f"checkpoint={path}: needs {code.group(1)}, which is not loaded because pickled code can do anything\n"
                "save the state dict alone: torch.save(model.state_dict(), FILE)"
            ) from None
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise UserError(f"checkpoint={path}: damaged, or no checkpoint of torch.save ({reason})") from None
    if not isinstance(found, Mapping):
        raise UserError(f"checkpoint={path}: holds a {type(found).__name__}, not a state dict")
    return found


def classifier_sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of the `Classifier` that a state dict (under our names) belongs to, but for its genotype.

    Raises:
        UserError: if it is not that of a final network for images.
    """
    stem = "imagenet" if "stem.stem0.0.weight" in tensors else "cifar"
    first, last = ("stem.stem0.0.weight", "stem.stem0.3.weight") if stem == "imagenet" else ("stem.0.weight",) * 2
    for key, dimensions in ((first, 4), (last, 4), ("classifier.weight", 2)):
        if key not in tensors or tensors[key].dim() != dimensions:
            raise UserError(f"checkpoint: {_renamed(key, _TO_AUTHORS)!r} is missing; it is no network for images")
    cells = {int(found.group(1)) for key in tensors if (found := re.match(r"cells\.(\d{1,6})\.", key))}
    for layer in range(max(cells, default=0)):
        if layer not in cells:  # nor is a network of a million cells built for one misleading name
            raise UserError(f"checkpoint: cells.{layer} is missing, but there is cells.{max(cells)}")
    width = tensors[last].shape[0]
    return {
        "stem": stem,
        "init_channels": width if stem == "imagenet" else width // STEM_MULTIPLIER,
        "layers": max(cells, default=0) + 1,
        "classes": tensors["classifier.weight"].shape[0],
        "in_channels": tensors[first].shape[1],
        "auxiliary": any(key.startswith("auxiliary_head.") for key in tensors),
    }


def load(module: nn.Module, tensors: Mapping[str, Tensor], named: Callable[[str], str] = str) -> None:
    """Load tensors under our names, without alphas.

    Args:
        module: the network.
        tensors: its state dict.
        named: from our name of a tensor to the one that messages call it.

    Raises:
        UserError: naming the first missing, unexpected and wrongly shaped keys.
    """
    own = {key: value for key, value in module.state_dict().items() if not key.startswith("arch.")}
    _refuse_misfit(tensors, {key: value.shape for key, value in own.items()}, named)
    with torch.no_grad():
        for key, value in own.items():
            if key in tensors:
                value.copy_(tensors[key])


def _refuse_misfit(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    named: Callable[[str], str] = str,
    partial: bool = False,
) -> None:
    """Raise UserError unless `tensors` have the names and the shapes of `shapes`, but for counters of batches.

    Args:
        tensors: what was given.
        shapes: what is wanted.
        named: from a name to the one that the message calls it.
        partial: whether tensors may be missing.
    """
    missing = [key for key in shapes if key not in tensors and not key.endswith(_COUNTER) and not partial]
    unexpected = [key for key in tensors if key not in shapes and not key.endswith(_COUNTER)]
    other = [key for key, shape in shapes.items() if key in tensors and tensors[key].shape != shape]
    found = (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
    faults = [f"{what} {named(keys[0])!r} ({len(keys)} in all)" for what, keys in found if keys]
    if faults:
        raise UserError("checkpoint does not fit this network: " + ", ".join(faults))
