"""The activations whose derivative is known."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from darts_pl.ops import activation_function

#: From the gradient of f(x), from x and from f(x) to the gradient of x.
Slope = Callable[[Tensor, Tensor, Tensor], Tensor]

_aten = torch.ops.aten

_SLOPES: dict[str, tuple[Callable[[Tensor], Tensor], Slope]] = {
    "tanh": (torch.tanh, lambda gradient, x, value: _aten.tanh_backward(gradient, value)),
    "relu": (torch.relu, lambda gradient, x, value: _aten.threshold_backward(gradient, x, 0)),
    "sigmoid": (torch.sigmoid, lambda gradient, x, value: _aten.sigmoid_backward(gradient, value)),
    "identity": (activation_function("identity"), lambda gradient, x, value: gradient),
}


def slope_is_known(name: str) -> bool:
    """Whether the activation registered under `name` is one of those below."""
    return name in _SLOPES and activation_function(name) is _SLOPES[name][0]


def slope(name: str) -> Slope:
    """Of an activation for which `slope_is_known`."""
    return _SLOPES[name][1]
