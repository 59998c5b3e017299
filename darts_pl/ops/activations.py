"""The registry of activations: the candidates of a recurrent cell.

A new one is one decorated function from [...] to [...]::

    @activation("softsign")
    def softsign(x: Tensor) -> Tensor: ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from darts_pl.errors import UserError
from darts_pl.ops.registry import NONE

Activation = Callable[[Tensor], Tensor]

_REGISTRY: dict[str, Activation] = {}


def activation(name: str) -> Callable[[Activation], Activation]:
    """Decorator that registers an elementwise function under `name`.

    Raises:
        UserError: if the name is taken by another function, or is no identifier.
    """
    if not name.isidentifier():
        raise UserError(f"activation name {name!r}: use letters, digits and _ only")

    def register(function: Activation) -> Activation:
        if name == NONE or _REGISTRY.get(name, function) is not function:
            raise UserError(f"activation name {name!r} is already taken; choose another")
        _REGISTRY[name] = function
        return function

    return register


def activations() -> tuple[str, ...]:
    """Names of all registered activations, without "none"."""
    return tuple(_REGISTRY)


def activation_function(name: str) -> Activation:
    """The function registered under `name`.

    Raises:
        UserError: if the name is unknown.
    """
    if name not in _REGISTRY:
        raise UserError(
            f"unknown activation {name!r}; known: {', '.join((NONE, *_REGISTRY))}\n"
            "your own: decorate a function with @activation and name its module in imports=[...]"
        )
    return _REGISTRY[name]


def check_activations(wanted: Sequence[str]) -> None:
    """Raise UserError unless `wanted` are different known activations and not all of them "none"."""
    for name in wanted:
        if name != NONE:
            activation_function(name)
    if len(set(wanted)) != len(wanted):
        raise UserError(f"candidates {list(wanted)} name one activation twice")
    if set(wanted) <= {NONE}:
        raise UserError(f"candidates {list(wanted)} hold no activation; name at least one besides 'none'")


activation("tanh")(torch.tanh)
activation("relu")(torch.relu)
activation("sigmoid")(torch.sigmoid)


@activation("identity")
def identity(x: Tensor) -> Tensor:
    """x itself."""
    return x
