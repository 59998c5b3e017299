"""A clock that advances only when a test or an operation advances it, and final networks with such operations."""

from collections.abc import Callable

import torch

from darts_pl.genotype import Genotype
from darts_pl.latency import FinalNetworks
from darts_pl.spaces import SPACES, build


class FakeClock:
    """Time in seconds, moved by `advance`; it is interrupted whenever `interrupted` is raised."""

    name = "fake clock"

    def __init__(self) -> None:
        self.now = 0.0
        self.interrupted = 0

    def advance(self, nanoseconds: float) -> None:
        self.now += nanoseconds * 1e-9

    def finish(self) -> None:
        pass

    def mark(self) -> float:
        return self.now

    def seconds(self, start: float, end: float) -> float:
        return end - start

    def interruptions(self) -> int:
        return self.interrupted


def cost(operation: str, stride: int, channels: int, height: int, width: int) -> int:
    """An arbitrary but fixed number of nanoseconds for an operation."""
    return 100 * len(operation) + sum(map(ord, operation)) % 97 + 7000 * stride + 31 * channels + 3 * height * width


SIZES = {
    "cnn": {"init_channels": 4, "layers": 5, "classes": 3, "auxiliary": False},
    "nasbench201": {"channels": 4, "cells": 2, "classes": 3},
}


def fake_networks(
    space: str,
    candidates,
    nodes: int,
    *,
    base: int = 50_000,
    join: int = 0,
    price: Callable[..., float] = cost,
    clock: FakeClock | None = None,
) -> FinalNetworks:
    """Networks for images [3, 16, 16] that take `base`, `join` for every operation, and the price of each operation."""
    found, ticking, sizes = SPACES.get(space), clock or FakeClock(), SIZES[space]

    def make(genotype: Genotype) -> torch.nn.Module:
        network = build(genotype, **sizes)
        computed = list(found.computed_pairs(genotype, network))
        network.register_forward_pre_hook(lambda *_: ticking.advance(base + join * len(computed)))
        for one in computed:

            def spend(module, inputs, output, one=one) -> None:
                ticking.advance(price(one.pair.operation, one.stride, *inputs[0].shape[1:]))

            one.module.register_forward_hook(spend)
        return network

    cells = found.cells(candidates, nodes)
    return FinalNetworks(found, cells, make, sizes, (3, 16, 16), torch.device("cpu"), clock=ticking)
