"""Weights that do not move in a step, or not in all of their entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from darts_pl.bilevel.observers import Observer


def frozen_by(observers: Iterable[Observer]) -> dict[str, Tensor]:
    """By the name of a weight where one observer or more freezes it; see `Observer.frozen_entries`."""
    found: dict[str, Tensor] = {}
    for observer in observers:
        for name, mask in observer.frozen_entries().items():
            found[name] = found[name] | mask if name in found else mask
    return found


@contextmanager
def held(
    optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor], frozen: Mapping[str, Tensor]
) -> Iterator[None]:
    """On leaving, frozen entries of the weights and of their momentum are, bit by bit, as they were on entering.

    Args:
        optimizer: SGD, which moves the weights within.
        weights: by name.
        frozen: by name a mask, see `Observer.frozen_entries`.
    """
    with torch.no_grad():
        before = {name: weights[name].detach().clone() for name in frozen}
        momentum = {name: _momentum(optimizer, weights[name]) for name in frozen}
        momentum = {name: None if buffer is None else buffer.clone() for name, buffer in momentum.items()}
    yield
    with torch.no_grad():
        for name, mask in frozen.items():
            weight, earlier = weights[name], momentum[name]
            weight.copy_(torch.where(mask, before[name], weight))
            now = _momentum(optimizer, weight)
            if now is not None:
                now.copy_(torch.where(mask, torch.zeros_like(now) if earlier is None else earlier, now))


def _momentum(optimizer: torch.optim.Optimizer, weight: Tensor) -> Tensor | None:
    found: Tensor | None = optimizer.state[weight].get("momentum_buffer") if weight in optimizer.state else None
    return found
