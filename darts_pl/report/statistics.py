"""Scores with their uncertainty: an accuracy on n samples, a mean over seeds, the difference of two methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scipy.special import ndtri, stdtrit


def wilson(right: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a probability of which `right` of `count` independent trials succeeded.

    Args:
        right: successes, 0 ... count.
        count: trials, at least 1.
        confidence: coverage of the interval, between 0 and 1.

    Returns:
        lower and upper limit, both within 0 ... 1.

    Raises:
        ValueError: if an argument is out of its range.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927), pages 209 to 212.
    """
    if count < 1 or not 0 <= right <= count:
        raise ValueError(f"{right} right of {count}: needs at least one trial and 0 ... count successes")
    z = _normal_quantile(confidence)
    fraction, square = right / count, z * z / count
    middle = fraction + square / 2
    half = z * math.sqrt(fraction * (1 - fraction) / count + square / (4 * count))
    low, high = (middle - half) / (1 + square), (middle + half) / (1 + square)
    return (0.0 if right == 0 else low), (1.0 if right == count else high)


def difference_of_accuracies(first: float, second: float, count: int) -> tuple[float, float]:
    """The 95 % interval of the difference of two accuracies on independent samples.

    Two networks that are scored on the same samples differ by less chance than that, so the interval is a wide one.

    Args:
        first, second: accuracies, 0 ... 1.
        count: samples of each.

    Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of
    eleven methods", Statistics in Medicine 17 (1998), pages 873 to 890, method 10.
    """
    low, high = wilson(round(first * count), count)
    other_low, other_high = wilson(round(second * count), count)
    gap = first - second
    return gap - math.hypot(first - low, other_high - second), gap + math.hypot(high - first, second - other_low)


@dataclass(frozen=True)
class Statistics:
    """A score over several runs, as a rule over seeds.

    Args:
        n: number of runs.
        mean: of the scores.
        std: sample standard deviation, with n - 1 in the denominator; None where n is 1.
    """

    n: int
    mean: float
    std: float | None

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The interval of the mean by Student's t; infinite where n is 1.

        Source: Student, "The probable error of a mean", Biometrika 6 (1908), pages 1 to 25.
        """
        if self.std is None:
            return -math.inf, math.inf
        half = _student_quantile(self.n - 1, confidence) * self.std / math.sqrt(self.n)
        return self.mean - half, self.mean + half


def statistics_of(values: Sequence[float]) -> Statistics:
    """Count, mean and sample standard deviation of the scores of several runs.

    Raises:
        ValueError: if there are none.
    """
    count = len(values)
    if not count:
        raise ValueError("the statistics of no values")
    mean = math.fsum(values) / count
    if count == 1:
        return Statistics(1, mean, None)
    return Statistics(count, mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1)))


@dataclass(frozen=True)
class Difference:
    """One method minus another one on the same seeds.

    Args:
        n: number of seeds that both methods have.
        mean: of the differences.
        std: their sample standard deviation; None where n is 1.
        low, high: the interval of the mean difference; infinite where n is 1.
    """

    n: int
    mean: float
    std: float | None
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether all values of the interval have one sign, so that the methods differ."""
        return self.low > 0 or self.high < 0

    def verdict(self, *, more_is_better: bool = True) -> str:
        """What may be said of the first method: "better", "worse", or "no difference shown".

        Args:
            more_is_better: of the score; False for an error or a perplexity.
        """
        if not self.excludes_zero:
            return "no difference shown"
        return "better" if (self.mean > 0) == more_is_better else "worse"


def widened(found: Difference, below: float, above: float) -> Difference:
    """The same difference with an interval that counts a second, independent source of chance.

    Args:
        found: with the interval of the first source.
        below, above: how far the interval of the second source reaches below and above its middle.
    """
    low = found.mean - math.hypot(found.mean - found.low, below)
    return replace(found, low=low, high=found.mean + math.hypot(found.high - found.mean, above))


def paired_difference(
    first: Mapping[Any, float], second: Mapping[Any, float], confidence: float = 0.95
) -> Difference | None:
    """The mean of `first - second` over the seeds that both have, with its interval by Student's t.

    Args:
        first, second: seed -> score.
        confidence: coverage of the interval, between 0 and 1.

    Returns:
        the difference; None where the methods share no seed.
    """
    shared = [seed for seed in first if seed in second]
    if not shared:
        return None
    found = statistics_of([first[seed] - second[seed] for seed in shared])
    low, high = found.interval(confidence)
    return Difference(found.n, found.mean, found.std, low, high)


def _normal_quantile(confidence: float) -> float:
    return float(ndtri(_upper_tail(confidence)))


def _student_quantile(freedom: int, confidence: float) -> float:
    return float(stdtrit(freedom, _upper_tail(confidence)))


def _upper_tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: must be between 0 and 1")
    return (1 + confidence) / 2
