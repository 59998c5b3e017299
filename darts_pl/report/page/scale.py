"""Axes: from values to places on the page, and the values that an axis names."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A straight or logarithmic axis.

    Args:
        low, high: values at its ends.
        start, end: places of its ends.
        log: whether it is logarithmic; `low` is then above 0.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """About `count` round values from `low` to `high`."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            for factors in ((1,), (1, 2, 5)):
                found = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in factors]
                inside = [value for value in found if self.low * 0.999 <= value <= self.high * 1.001]
                if len(inside) >= 2:
                    return inside
            return [self.low, self.high]
        step = _round_step((self.high - self.low) / max(count, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]


def fitting(
    values: Iterable[float], start: float, end: float, *, log: bool = False, whole: bool = False, pad: float = 0.04
) -> Scale:
    """A scale that shows all of `values`.

    Args:
        values: what is shown; values that are not finite, or not positive on a logarithmic axis, do not count.
        start, end: places of its ends.
        log: whether it is logarithmic.
        whole: whether the values are whole numbers, such as epochs: the axis then ends at them.
        pad: fraction of the axis that stays free at each end.
    """
    found = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    low, high = (min(found), max(found)) if found else (1.0, 10.0) if log else (0.0, 1.0)
    if low == high:
        gap = 0.5 if whole else abs(low) * 0.05 or 0.5
        low, high = (low / 2, high * 2) if log else (low - gap, high + gap)
    if not log and not whole:
        low, high = low - pad * (high - low), high + pad * (high - low)
    return Scale(low, high, start, end, log)


def tick_text(value: float, ticks: list[float]) -> str:
    """A value of an axis, with as many decimals as the axis needs."""
    largest = max(abs(tick) for tick in ticks)
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if largest >= factor * (10 if unit == "k" else 1):
            return f"{value / factor:.4g}{unit if value else ''}"
    if 0 < largest < 1e-3:
        return f"{value:.2g}"
    gaps = [abs(second - first) for first, second in itertools.pairwise(ticks)]
    smallest = min(gaps, default=largest) or 1.0
    decimals = next(
        (count for count in range(8) if all(abs(round(tick, count) - tick) < smallest / 1000 for tick in ticks)), 8
    )
    return f"{value:.{decimals}f}"


def _round_step(step: float) -> float:
    """The round number nearest above `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * 0.999)
