"""Loading tensors into a network, with messages that say what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError

_COUNTER = "num_batches_tracked"
#: How many names a message lists.
_LISTED = 3
_LONGEST_NAME = 80

Network = TypeVar("Network", bound=nn.Module)


def load(module: nn.Module, tensors: Mapping[str, Tensor], named: Callable[[str], str] = str) -> None:
    """Load tensors under our names, without alphas.

    Args:
        module: the network.
        tensors: its state dict.
        named: from our name of a tensor to the one that messages call it.

    Raises:
        UserError: naming the missing, unexpected and wrongly shaped tensors, with what was expected.
    """
    own = _own(module)
    refuse_misfit(tensors, own, named)
    with torch.no_grad():
        for key, value in own.items():
            if key in tensors:
                value.copy_(tensors[key])


def build_and_load(
    build: Callable[[], Network],
    tensors_of: Callable[[nn.Module], Mapping[str, Tensor]],
    dtype: torch.dtype,
    named: Callable[[nn.Module], Callable[[str], str]] = lambda module: str,
) -> Network:
    """A network in evaluation mode, with the tensors loaded.

    The names and shapes are compared before memory for the weights is taken.

    Args:
        build: makes the network, untrained.
        tensors_of: given the network, its state dict under our names.
        dtype: of the weights, whatever that of the tensors is.
        named: given the network, what `load` takes by this name.

    Raises:
        UserError: as `load` does.
    """
    with torch.device("meta"):
        plan = build()
    refuse_misfit(tensors_of(plan), _own(plan), named(plan))
    network = build().to(dtype)
    load(network, tensors_of(network), named(network))
    return network.eval()


def _own(module: nn.Module) -> dict[str, Tensor]:
    return {key: value for key, value in module.state_dict().items() if not key.startswith("arch.")}


def list_names(names: Iterable[str]) -> str:
    """The first names in quotes, and how many there are if these are not all; "" for none."""
    names = list(names)
    shown = [repr(n if len(n) <= _LONGEST_NAME else n[: _LONGEST_NAME - 3] + "...") for n in names[:_LISTED]]
    return ", ".join(shown) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def refuse_misfit(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    named: Callable[[str], str] = str,
    partial: bool = False,
) -> None:
    """Raise UserError unless `tensors` have the names, shapes and types of `expected`, but for counters of batches.

    Args:
        tensors: what was given.
        expected: tensors of the wanted shapes; whether they are floating-point numbers counts, their precision not.
        named: from a name to the one that the message calls it.
        partial: whether tensors may be missing.
    """
    missing = [key for key in expected if key not in tensors and not key.endswith(_COUNTER) and not partial]
    unexpected = [key for key in tensors if key not in expected and not key.endswith(_COUNTER)]
    both = [key for key in expected if key in tensors]
    shape = [key for key in both if tensors[key].shape != expected[key].shape]
    kind = [key for key in both if tensors[key].is_floating_point() != expected[key].is_floating_point()]
    found = (("missing", missing), ("unexpected", unexpected), ("of another shape", shape), ("of another type", kind))
    faults = [f"{what} {_listed([named(key) for key in keys])}" for what, keys in found if keys]
    if not faults:
        return
    if shape:
        given, wanted = list(tensors[shape[0]].shape), list(expected[shape[0]].shape)
        faults[-1 - bool(kind)] += f": {given} instead of {wanted}"
    if kind:
        faults[-1] += f": {tensors[kind[0]].dtype} instead of {expected[kind[0]].dtype}"
    if unexpected and not missing:
        faults[-1] += (
            f"; expected only the {len(expected)} tensors of this network, such as {_example(expected, named)}"
        )
    raise UserError("the checkpoint does not fit this network: " + ", ".join(faults) + _advice(missing, unexpected))


def _example(expected: Mapping[str, Tensor], named: Callable[[str], str]) -> str:
    return ", ".join(repr(named(key)) for key in list(expected)[:2])


def _listed(names: list[str]) -> str:
    return f"{list_names(names[:_LISTED])} ({len(names)} in all)"


def _advice(missing: list[str], unexpected: list[str]) -> str:
    """What to do where nothing but operations of cells differ."""
    if (
        missing
        and unexpected
        and all("operations." in key and key.startswith("cells.") for key in missing + unexpected)
    ):
        return "; give the genotype that the network was trained with"
    return ""
