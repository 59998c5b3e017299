"""The registry of scores at initialization; a new one is one decorated function."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from darts_pl.registry import Registry

#: The score of an untrained network from inputs [B, ...] and labels [B]; greater is better. The network is in training
#: mode and returns logits [B, classes] or a tuple that starts with them; its parameters may be changed.
ZeroCostScore = Callable[[nn.Module, Tensor, Tensor], float]

ZERO_COST: Registry[ZeroCostScore] = Registry(
    "score at initialization",
    hint="your own: decorate a function with @ZERO_COST.register(NAME) and name its module in imports=[...]",
)


def logits_of(network: nn.Module, x: Tensor) -> Tensor:
    """The logits [B, classes] without those of an auxiliary tower.

    Args:
        network: a classifier.
        x: inputs [B, ...].
    """
    found = network(x)
    logits: Tensor = found[0] if isinstance(found, tuple) else found
    return logits
