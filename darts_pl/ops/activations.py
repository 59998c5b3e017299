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
from darts_pl.ops.probe import probe_function
from darts_pl.ops.registry import NONE
from darts_pl.registry import Registry, origin_of

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: Registry[Activation] = Registry(
    "activation",
    reserved=(NONE,),
    hint="your own: decorate a function with @activation and name its module in imports=[...]",
)


def activation(name: str) -> Callable[[Activation], Activation]:
    """Decorator that registers an elementwise function under `name`.

    Raises:
        UserError: if the name is taken by another function, or is no identifier, or the function
            changes the shape, type or device of its argument.
    """
    ACTIVATIONS.check_name(name)

    def register(function: Activation) -> Activation:
        probe_function(function, f"activation {name!r} ({origin_of(function)})")
        ACTIVATIONS.add(name, function)
        return function

    return register


def activations() -> tuple[str, ...]:
    """Names of all registered activations, without "none"."""
    return ACTIVATIONS.list()


def activation_function(name: str) -> Activation:
    """The function registered under `name`.

    Raises:
        UserError: if the name is unknown.
    """
    return ACTIVATIONS.get(name)


def check_activations(wanted: Sequence[str]) -> None:
    """Raise UserError unless `wanted` are different known activations and not all of them "none"."""
    for name in wanted:
        if name != NONE:
            ACTIVATIONS.get(name)
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
