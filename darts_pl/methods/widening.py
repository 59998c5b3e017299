"""Wider convolutions that start from narrower ones: new channels are copies of drawn old ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from darts_pl.ops import EdgeByEdge, EdgeOperation
from darts_pl.spaces import MixedEdges, Supernet


class Copies(NamedTuple):
    """Which old channels the new ones of one convolution are copies of.

    Args:
        outputs: int64 [new output channels].
        inputs: int64 [new input channels]; None = there are none.
    """

    outputs: Tensor
    inputs: Tensor | None = None


def widen(weight: Tensor, copies: Copies) -> Tensor:
    """The weight of a convolution [out, in, k, k] with further channels, inputs first, not rescaled (DrNAS's code).

    Args:
        weight: of the narrower convolution, or what belongs to it, such as its momentum.
        copies: see `Copies`.
    """
    if copies.inputs is not None:
        weight = torch.cat([weight, weight[:, copies.inputs.to(weight.device)]], dim=1)
    return torch.cat([weight, weight[copies.outputs.to(weight.device)]])


def draw_copies(old: Sequence[Tensor], new: Sequence[Tensor]) -> list[Copies]:
    """Drawn copies for the convolutions of one edge, in order; from the global generator.

    A depthwise convolution and the convolution behind it share their channels.

    Args:
        old: weights [out, in, k, k] of the narrower convolutions.
        new: of the wider ones.
    """
    found: list[Copies] = []
    depthwise: Tensor | None = None  # the copied channels of a depthwise convolution just before
    for narrow, wide in zip(old, new, strict=True):
        inputs = None
        if wide.shape[1] > narrow.shape[1]:
            added = wide.shape[1] - narrow.shape[1]
            shared = depthwise is not None and len(depthwise) == added
            inputs = depthwise if shared else torch.randint(narrow.shape[1], (added,))
        outputs = torch.randint(narrow.shape[0], (wide.shape[0] - narrow.shape[0],))
        found.append(Copies(outputs, inputs))
        depthwise = outputs if wide.shape[1] == narrow.shape[1] == 1 else None
    return found


def carry_weights(old: Supernet, new: Supernet, old_sgd: torch.optim.Optimizer, new_sgd: torch.optim.Optimizer) -> None:
    """Copy weights and their momentum into a wider supernet of the same structure; from the global generator.

    Convolutions of candidates become wider; what has the same shape is copied; running statistics of
    another shape start fresh.

    Args:
        old, new: the supernets.
        old_sgd, new_sgd: their weight optimizers.
    """
    plans: dict[str, list[Copies]] = {}  # by the name of a convolution's weight, for each edge
    modules = dict(new.named_modules())
    for name, module in old.named_modules():
        if isinstance(module, MixedEdges):
            inside = {f"{name}.operations.{key}": operation for key, operation in module.operations.items()}
            if module.extra is not None:  # what every edge adds
                inside |= {
                    f"{name}.extra.{key}": one
                    for key, one in module.extra.named_modules()
                    if isinstance(one, EdgeOperation)
                }
            for place, operation in inside.items():
                wider = modules[place]
                assert isinstance(operation, EdgeOperation)
                assert isinstance(wider, EdgeOperation)
                plans |= {f"{place}.{inner}": plan for inner, plan in _plans(operation, wider).items()}
    wide, narrow = new.weights(), old.weights()
    with torch.no_grad():
        for name, weight in wide.items():
            before = narrow[name]
            state = dict(old_sgd.state.get(before, {}))
            if name in plans:
                weight.copy_(_widened(before, plans[name]))
            elif weight.shape == before.shape:
                weight.copy_(before)
            else:
                continue
            momentum = state.get("momentum_buffer")
            if momentum is not None:
                changed = _widened(momentum, plans[name]) if name in plans else momentum.clone()
                new_sgd.state[weight]["momentum_buffer"] = changed
        buffers = dict(old.named_buffers())
        for name, buffer in new.named_buffers():
            if not name.startswith("arch.") and buffers[name].shape == buffer.shape:
                buffer.copy_(buffers[name])


def _widened(tensor: Tensor, plan: Sequence[Copies]) -> Tensor:
    """A tensor of all K edges, each widened by its own copies."""
    parts = tensor.detach().unflatten(0, (len(plan), -1)).unbind(0)
    return torch.cat([widen(part, copies) for part, copies in zip(parts, plan, strict=True)])


def _plans(old: EdgeOperation, new: EdgeOperation) -> dict[str, list[Copies]]:
    """By the name of each convolution's weight that becomes wider, its copies for each edge."""
    found: dict[str, list[Copies]] = {}
    parts = (
        [(f"each.{index}.", 1) for index in range(len(old.each))] if isinstance(old, EdgeByEdge) else [("", old.edges)]
    )
    for prefix, edges in parts:
        names = [
            f"{name}.weight"
            for name, module in old.named_modules()
            if isinstance(module, nn.Conv2d) and name.startswith(prefix)
        ]
        pairs = [(old.get_parameter(name), new.get_parameter(name)) for name in names]
        if all(narrow.shape == wide.shape for narrow, wide in pairs):
            continue
        by_edge = [
            draw_copies(
                [narrow.unflatten(0, (edges, -1))[edge] for narrow, _ in pairs],
                [wide.unflatten(0, (edges, -1))[edge] for _, wide in pairs],
            )
            for edge in range(edges)
        ]
        found |= {name: [copies[index] for copies in by_edge] for index, name in enumerate(names)}
    return found
