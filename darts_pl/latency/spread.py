"""Measured times: a median with its quartiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

#: Nanoseconds in a millisecond. Times are whole nanoseconds, so that sums of them are exact.
_MILLISECOND = 10**6


class Spread(NamedTuple):
    """Median and quartiles of a measured time, in whole nanoseconds.

    Args:
        median: half of the samples are shorter.
        low: a quarter of the samples is shorter.
        high: a quarter of the samples is longer.
        samples: how many there are.
    """

    median: int
    low: int
    high: int
    samples: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Median and quartiles (interpolated linearly) of one or more times in seconds."""
        low, median, high = (round(1e9 * value) for value in np.percentile(seconds, [25, 50, 75]))
        return cls(median, low, high, len(seconds))


def milliseconds(time: int) -> float:
    """A time in nanoseconds as milliseconds; `nanoseconds` undoes it exactly."""
    return time / _MILLISECOND


def nanoseconds(time: float) -> int:
    """A time in milliseconds as whole nanoseconds, fractions of a nanosecond cut off."""
    return math.floor(round(time * _MILLISECOND, 3))
