"""A supernet that has architecture parameters and nothing else."""

from collections.abc import Mapping
from typing import Any

from darts_pl.spaces import Mixing, Outcome, Supernet


class Bare(Supernet):
    """Its loss is the sum of all mixing weights."""

    def loss(self, batch: Any, mixing: Mapping[str, Mixing]) -> Outcome:
        total = sum(values.weights.sum() for values in mixing.values())
        return Outcome(total, total.detach())
