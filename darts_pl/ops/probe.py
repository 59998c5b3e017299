"""Checks of operations that users write, on one small map, when they are first built.

A copy of the operation is run, in evaluation mode, and the global random state is left as it was: a
check changes no number of the run and costs nothing per step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from darts_pl.errors import UserError
from darts_pl.ops.edges import EdgeOperation, NodeOutput

#: Images of the probe, and their height and width: even, and large enough for dilated 5x5 convolutions.
BATCH, SIDE = 2, 8


def probe_module(module: Any, channels: int, stride: int, label: str) -> None:
    """Check that `module` maps [B, C, H, W] to [B, C, ceil(H/stride), ceil(W/stride)].

    Args:
        module: what a user's function returned.
        channels: C.
        stride: of the operation.
        label: what it is called in messages.

    Raises:
        UserError: if it is no module, or its result is no tensor or has another shape, type or device.
    """
    if not isinstance(module, nn.Module):
        raise UserError(f"{label}: returns {_article(module)}, and must return a torch.nn.Module")
    _probe(module, lambda copied, x: copied(x), channels, channels, stride, label)


def probe_edges(module: Any, channels: int, stride: int, label: str) -> None:
    """Check that `module` is an `EdgeOperation` with one map for each of its edges; see `probe_module`."""
    if not isinstance(module, EdgeOperation):
        raise UserError(
            f"{label}: returns {_article(module)}; with parallel=True it must return a darts_pl.ops.EdgeOperation"
        )
    maps = 1 if module.shared else module.edges
    _probe(module, lambda copied, x: copied.on_edges(NodeOutput(x)), channels, maps * channels, stride, label)


def probe_function(function: Callable[[Tensor], Tensor], label: str) -> None:
    """Check that an elementwise function returns a tensor of its argument's shape, type and device.

    Raises:
        UserError: if it does not.
    """
    x = torch.linspace(-2, 2, 6).reshape(2, 3)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        _compare(_run(lambda: function(x), label), tuple(x.shape), x, label)
        _on_meta(lambda: function(x.to("meta")), label)


def _probe(
    module: nn.Module, run: Callable[[Any, Tensor], Any], channels: int, out_channels: int, stride: int, label: str
) -> None:
    parameter = next((one for one in module.parameters() if one.is_floating_point()), None)
    like = torch.empty(0) if parameter is None else parameter.detach()
    side = -(-SIDE // stride)
    expected = (BATCH, out_channels, side, side)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        copied = copy.deepcopy(module).eval()
        x = torch.ones(BATCH, channels, SIDE, SIDE, dtype=like.dtype, device=like.device)
        _compare(_run(lambda: run(copied, x), label), expected, x, label)
        copied = copied.to("meta")
        _on_meta(lambda: run(copied, x.to("meta")), label)


def _run(call: Callable[[], Any], label: str) -> Any:
    try:
        return call()
    except Exception as error:
        text = " ".join(str(error).split())
        raise UserError(f"{label}: running it raised {type(error).__name__}: {text:.200}") from error


def _compare(found: Any, shape: tuple[int, ...], x: Tensor, label: str) -> None:
    of = f"of a map {list(x.shape)}"
    if not isinstance(found, Tensor):
        raise UserError(f"{label}: {of} it makes {_article(found)}, and must make a tensor {list(shape)}")
    if tuple(found.shape) != shape:
        raise UserError(f"{label}: {of} it makes {list(found.shape)}, and must make {list(shape)}")
    if found.dtype != x.dtype:
        raise UserError(f"{label}: {of} of {x.dtype} it makes {found.dtype}; the type must stay")
    if found.device != x.device:
        raise UserError(f"{label}: {of} on {x.device} it makes one on {found.device}; the device must stay")


def _on_meta(call: Callable[[], Any], label: str) -> None:
    """On torch's device without memory, where a tensor that was made on the CPU does not fit.

    An operation that reads values cannot run there, and is not refused for that.
    """
    try:
        found = call()
    except Exception as error:
        # Only a plain RuntimeError of torch is about devices that differ. It raises a subclass where an operation does
        # not run on this device.
        elsewhere = type(error) is RuntimeError and "device" in str(error)
    else:
        elsewhere = isinstance(found, Tensor) and found.device.type != "meta"
    if elsewhere:
        raise UserError(
            f"{label}: makes a tensor on another device than its input; "
            "use a parameter, a buffer, or torch.zeros(..., device=x.device)"
        )


def _article(value: Any) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"
