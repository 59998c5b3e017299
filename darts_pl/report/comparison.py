"""Whether a cell that a search found is better than random cells, in one sentence that the scores decide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from darts_pl.report.statistics import statistics_of, wilson


def accuracy_interval(accuracy: float, images: int) -> tuple[float, float]:
    """The 95 % interval of Wilson of an accuracy.

    Args:
        accuracy: fraction of `images` that is classified right.
        images: how many were scored, at least 1.
    """
    return wilson(round(accuracy * images), images)


def compare_accuracies(found: float, by_chance: Sequence[float], images: int) -> str:
    """A sentence: the found cell beats the random ones only where its interval lies above all of theirs.

    Args:
        found: accuracy of the found cell.
        by_chance: accuracies of random cells, at least one.
        images: how many were scored, the same for all.
    """
    low, high = accuracy_interval(found, images)
    others = [accuracy_interval(one, images) for one in by_chance]
    gap = f"the difference to {_mean_of(by_chance)}, {found - statistics_of(by_chance).mean:+.4f}"
    if low > max(end for _, end in others):
        return f"The found cell beats {_all(by_chance)}: {gap}, is larger than the 95 % intervals."
    if high < min(start for start, _ in others):
        return f"The found cell is worse than {_all(by_chance)}: {gap}, is larger than the 95 % intervals."
    return f"This search does not beat a random cell: {gap}, is not larger than the 95 % intervals."


def compare_networks(found: float, other: float, images: int, name: str) -> str:
    """A sentence: one network is called better only where the 95 % intervals of the accuracies do not meet.

    Args:
        found: accuracy of the found network.
        other: accuracy of the network that it is compared with.
        images: how many were scored, the same for both.
        name: of the other network.
    """
    low, high = accuracy_interval(found, images)
    other_low, other_high = accuracy_interval(other, images)
    gap = f"the difference, {found - other:+.4f} on {images:,} images,"
    if low > other_high:
        return f"The found network beats {name}: {gap} is larger than the 95 % intervals."
    if high < other_low:
        return f"The found network is worse than {name}: {gap} is larger than the 95 % intervals."
    return f"The found network is not shown to differ from {name}: {gap} is not larger than the 95 % intervals."


def compare_perplexities(found: float, by_chance: Sequence[float]) -> str:
    """A sentence: the found cell beats the random ones only where it lies below the interval in which their spread
    lets one expect one more random cell; see `expected_perplexities`.

    Args:
        found: perplexity of the found cell.
        by_chance: perplexities of random cells, at least one.
    """
    statistics = statistics_of(by_chance)
    gap = f"the difference to {_mean_of(by_chance)}, {found - statistics.mean:+.2f}"
    if statistics.std is None:
        return f"One random cell shows no spread: {gap}, proves nothing."
    low, high = expected_perplexities(by_chance)
    half = (high - low) / 2
    if low <= found <= high:
        return f"This search does not beat a random cell: {gap}, is not larger than their 95 % interval, {half:.2f}."
    word = "beats" if found < statistics.mean else "is worse than"
    return f"The found cell {word} {_all(by_chance)}: {gap}, is larger than their 95 % interval, {half:.2f}."


def expected_perplexities(by_chance: Sequence[float]) -> tuple[float, float]:
    """The interval in which the spread of random cells lets one expect one more; infinite where there is only one.

    It is mean +- t * std * sqrt(1 + 1 / n) with Student's t for 95 % and n - 1 degrees of freedom.

    Args:
        by_chance: perplexities of random cells, at least one.
    """
    statistics = statistics_of(by_chance)
    low, high = statistics.interval()
    half = (high - low) / 2 * math.sqrt(statistics.n + 1)
    return statistics.mean - half, statistics.mean + half


def _all(by_chance: Sequence[float]) -> str:
    return "the random cell" if len(by_chance) == 1 else f"the {len(by_chance)} random cells"


def _mean_of(by_chance: Sequence[float]) -> str:
    return "the random cell" if len(by_chance) == 1 else f"the mean of {len(by_chance)} random cells"
