"""The activations whose derivative is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from darts_pl.ops import activation_function

_aten = torch.ops.aten


class KnownActivation(NamedTuple):
    """An activation f whose derivative is known.

    Args:
        function: f, as it is registered.
        slope: from the gradient of f(x), from x and from f(x) to the gradient of x. A mixed cell needs this form.
        write: ``write(x, out)`` writes f(x) to `out`.
        write_slope: ``write_slope(gradient, x, value, out)`` writes to `out` what `slope` returns.
    """

    function: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor, Tensor], Tensor]
    write: Callable[[Tensor, Tensor], object]
    write_slope: Callable[[Tensor, Tensor, Tensor, Tensor], object]


def _sloped_by_value(function: Callable[..., Tensor], backward: Callable[..., Tensor]) -> KnownActivation:
    """A function whose slope needs f(x) alone: `backward` takes the gradient of f(x) and f(x)."""
    return KnownActivation(
        function,
        lambda gradient, x, value: backward(gradient, value),
        lambda x, out: function(x, out=out),
        lambda gradient, x, value, out: backward(gradient, value, grad_input=out),
    )


_KNOWN: dict[str, KnownActivation] = {
    "tanh": _sloped_by_value(torch.tanh, _aten.tanh_backward),
    "sigmoid": _sloped_by_value(torch.sigmoid, _aten.sigmoid_backward),
    "relu": KnownActivation(
        torch.relu,
        lambda gradient, x, value: _aten.threshold_backward(gradient, x, 0),
        lambda x, out: torch.clamp_min(x, 0, out=out),
        lambda gradient, x, value, out: _aten.threshold_backward(gradient, x, 0, grad_input=out),
    ),
    "identity": KnownActivation(
        activation_function("identity"),
        lambda gradient, x, value: gradient,
        lambda x, out: out.copy_(x),
        lambda gradient, x, value, out: out.copy_(gradient),
    ),
}


def slope_is_known(name: str) -> bool:
    """Whether the activation registered under `name` is one of those above."""
    return name in _KNOWN and activation_function(name) is _KNOWN[name].function


def known_activation(name: str) -> KnownActivation:
    """An activation for which `slope_is_known`.

    Raises:
        KeyError: for any other name.
    """
    return _KNOWN[name]
